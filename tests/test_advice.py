"""What a refusal advises: the nearest key, file or name where one is near, else where to look."""

import shlex

import pytest
from helpers import LENET, refused, refused_command
from test_configs import CONFIGS

from configs import base, load
from configs.nearest import nearest
from scripts import prepare_data, sweep
from train import __main__ as command
from train.errors import BadInput

KEYS = list(base.flatten(base.get_config()))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("batch_size", "'data.batch_size' or 'eval.batch_size'"),
        ("model.batch_size", "'data.batch_size' or 'eval.batch_size'"),
        ("evl.batch_size", "'eval.batch_size'"),
        ("every", "'eval.every' or 'log.every' or 'checkpoint.every'"),
        ("lr", "'optim.lr'"),
        ("eval.lr", "'optim.lr'"),
        ("optm.lrr", "'optim.lr'"),
        ("model.outpt", "'model.output'"),
        ("weight", "'optim.weight_decay'"),
        ("seed", "'seeds'"),
    ],
)
def test_a_mistyped_key_is_taken_for_the_nearest_in_the_section_where_it_is_likely(word, meant):
    assert nearest(word, KEYS, base.SHOWN) == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("word", "words", "says"),
    [
        ("foo", KEYS, base.SHOWN),
        ("eval", KEYS, "choose from eval.batch_size, eval.ensemble, eval.every"),
        ("model.cel", KEYS, "choose from model.activation, model.batch_norm, model.c3, "),
        ("folder", base.TABLES["data"], "choose from adding, addition, brown, "),
        ("mnist", base.TABLES["data"], "choose from adding, addition, brown, "),
        ("transformer", base.TABLES["model"], "choose from alexnet, alexnet_2014, "),
        ("float8", ("float32", "bfloat16"), "choose from bfloat16, float32"),
    ],
)
def test_a_word_that_nothing_is_near_to_gets_no_guess(word, words, says):
    assert nearest(word, words, base.SHOWN).startswith(says)


def test_a_file_that_is_not_there_is_not_taken_for_one_of_another_name():
    assert "choose from configs/alexnet_cifar.py, " in refused_command("--config=nosuch.py")
    assert "did you mean 'configs/copy_memory.py'?" in refused_command("--config=copy_memory.py")
    with pytest.raises(BadInput, match="no file 'nosuch.py'; python -m scripts.list shows"):
        sweep.main(["nosuch.py"])
    both = "did you mean 'configs/papers/resnet/depth.py' or 'configs/papers/vgg/depth.py'?"
    with pytest.raises(BadInput) as error:
        sweep.main(["depth.py"])
    assert both in str(error.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c.batch_size = 3", "did you mean 'data.batch_size' or 'eval.batch_size'?"),
        ("c.model.batch_size = 3", "did you mean 'data.batch_size' or 'eval.batch_size'?"),
        ("c.optim.steppes = 3", "did you mean 'steps'?"),
        ("print(c.lr)", "did you mean 'optim.lr'?"),
        ("c.data.foo = 1", "choose from area, aspect, batch_size, crop, "),
    ],
)
def test_an_unknown_key_in_a_file_gets_the_same_advice(tmp_path, line, says):
    file = tmp_path / "wrong.py"
    text = f"from configs import base\ndef get_config():\n    c = base.get_config()\n    {line}\n"
    file.write_text(text + "    return c\n")
    assert f"{file}:4: unknown key" in (refusal := refused_command(f"--config={file}"))
    assert says in refusal


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--evalonly", "did you mean '--eval_only'?"),
        (
            "--batch_size=3",
            "did you mean '--config.data.batch_size' or '--config.eval.batch_size'?",
        ),
        ("--steps=3", "did you mean '--config.optim.steps'?"),
        ("--nonsense", "--help lists the flags"),
    ],
)
def test_an_unknown_flag_is_taken_for_the_nearest_flag_or_key(flag, says):
    assert f"unknown flag {flag!r}; {says}" in refused(flag)


def test_a_set_that_neither_we_nor_tfds_have_is_refused_without_a_list_of_them_all():
    with pytest.raises(BadInput) as error:
        prepare_data.main(["photos"])
    assert "TFDS has no 'photos'; its sets: https://" in str(error.value)
    assert len(str(error.value)) < 120


def test_another_cell_on_the_command_line_leaves_the_files_forget_bias_behind_where_it_has_none():
    def bias(**changes):
        return load.load("configs/lstm_adding.py", changes)[1].model.forget_bias

    assert bias(**{"model.cell": "gru"}) is None
    assert bias(**{"model.cell": "lstm_peephole"}) == 3.0
    # what the user sets is not put aside: the cell refuses it
    assert bias(**{"model.cell": "gru", "model.forget_bias": 1.0}) == 1.0


def test_another_initialiser_leaves_the_scale_of_the_one_before_behind():
    config = base.override(base.get_config(), {"model.name": "sequence_readout"})
    base.override(config, {"model.initialiser": "uniform", "model.init_scale": 0.1})
    assert base.override(config, {"model.initialiser": "normal"}).model.init_scale == 0.1
    assert base.override(config, {"model.initialiser": "orthogonal"}).model.init_scale is None


@pytest.mark.parametrize("config", CONFIGS)
def test_the_printed_config_pasted_behind_a_plain_file_is_that_config(config, capsys, tmp_path):
    assert command.main([f"--config={config}", "--print_config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == sorted(lines, key=lambda line: line.strip("'").partition("=")[0])
    plain = tmp_path / "plain.py"
    plain.write_text("from configs import base\nget_config = base.get_config\n")
    changes = load.from_command_line(shlex.split(" ".join(lines)))
    same = base.flatten(load.load(config)[1])
    assert base.flatten(load.load(str(plain), changes)[1]) == same


def test_print_config_shows_what_the_flags_change_and_makes_no_workdir(capsys, tmp_path):
    flags = ["--config.optim.steps=3 epochs", f"--workdir={tmp_path / 'run'}", "--print_config"]
    assert command.main([f"--config={LENET}", *flags]) == 0
    assert "'--config.optim.steps=3 epochs'\n" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()
