"""The config: every key read, every typo refused, one mechanism for files, rows and the command line."""

import contextlib
import inspect
import io
import pathlib
import re

import folders
import helpers
import pytest

from configs import base, load
from train import __main__ as command
from train import experiment
from train.data import texts, tfds_text
from train.duration import next_due, resolver
from train.errors import BadInput

CONFIGS = sorted(str(p.relative_to(load.ROOT)) for p in (load.ROOT / "configs").glob("[a-z]*_*.py"))
GOLDEN = pathlib.Path(__file__).parent / "golden"
KEYS = [(config, key) for config in CONFIGS for key in base.flatten(load.load(config)[1])]


def refused(*arguments) -> str:
    """The one line with which `python -m train` refuses its arguments, with exit code 2."""
    with pytest.raises(BadInput) as error:
        command.main(list(arguments))
    return " ".join(str(error.value).split())


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_is_what_its_golden_dump_says(config):
    """After a change that is meant: PYTHONPATH=tests python -m tests.test_configs writes the dumps anew."""
    golden = (GOLDEN / pathlib.Path(config).with_suffix(".txt").name).read_text()
    assert dump(config) == golden


def dump(config: str) -> str:
    return "".join(f"{key}: {value!r}\n" for key, value in sorted(base.flatten(load.load(config)[1]).items()))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in base.TABLES.items() for name in table])
def test_the_docstring_of_what_a_section_names_says_each_of_its_keys(kind, name):
    constructor = base.TABLES[kind][name]
    made = getattr(constructor, "func", constructor)
    bases = made.__mro__ if inspect.isclass(made) else [made]
    words = set(re.findall(r"\w+", " ".join(of.__doc__ or "" for of in bases if of.__module__.split(".")[0] != "flax")))
    assert set(inspect.signature(constructor).parameters) - {"name", *base.SUPPLIED.get(kind, ())} <= words


@pytest.mark.parametrize(("config", "key"), KEYS)
def test_a_typo_in_any_key_on_the_command_line_is_refused_with_that_key_as_suggestion(config, key):
    typo = key + key[-1]
    assert f"unknown key {typo!r}; did you mean {key!r}?" in refused(f"--config={config}", f"--config.{typo}=1")


@pytest.mark.parametrize(("config", "key"), KEYS)
def test_a_typo_in_any_key_in_a_file_is_refused_with_that_key_as_suggestion(tmp_path, config, key):
    last = key.rsplit(".", 1)[-1]
    file = tmp_path / "typo.py"
    file.write_text(
        f"from configs import load\n\ndef get_config():\n    c = load.load({config!r})[1]\n    c.{key + last[-1]} = 1\n"
    )
    line = refused(f"--config={file}")
    assert line.startswith(f"{file}:5: unknown key {last + last[-1]!r}") and last in line.split(";")[1]


class Recorder:
    """A config that notes which leaves are read."""

    def __init__(self, config, read, prefix=""):
        self._config, self._read, self._prefix = config, read, prefix

    def __getitem__(self, key):
        value = self._config[key]
        if hasattr(value, "keys"):
            return Recorder(value, self._read, f"{self._prefix}{key}.")
        self._read.add(self._prefix + key)
        return value

    __getattr__ = __getitem__

    def __iter__(self):
        return iter(self._config)


@pytest.mark.parametrize("config", CONFIGS)
def test_no_key_goes_unread(config, monkeypatch, tmp_path):
    read, resolved = set(), load.load(config)[1]
    if resolved.data.name == "imagenet2012":
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        base.override(resolved, {"eval.every": 1})  # not epochs, which have less than a batch here
        folders.prepare_photographs({split: [(folders.jpeg(folders.photograph(0)), 0)] for split in ("train", "validation")})
    if resolved.data.name == "wmt14_translate":
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        folders.prepare_tfds_text(
            "wmt14_translate/fr-en", {split: [dict(en="a cat", fr="un chat")] for split in tfds_text.SPLITS}
        )
    monkeypatch.setattr(texts, "load", helpers.or_a_little_text(texts.load))
    if resolved.data.name.startswith("cifar"):  # not in the repository; one builder reads all image sets
        base.override(resolved, {"data.name": "fashion_mnist"})
    experiment.build(Recorder(resolved, read))
    assert sorted(set(base.flatten(resolved)) - read) == []


LENET, ADDING, VOWELS = (f"configs/{name}.py" for name in ("lenet_fashion_mnist", "lstm_adding", "lstm_japanese_vowels"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"--config={LENET}", "--config.optim.lr=fast"], "optim.lr: 'fast' must be a number"),
        ([f"--config={LENET}", "--config.optim.lr=nan"], "optim.lr: nan is not a finite number"),
        ([f"--config={LENET}", "--config.optim.lr=-1"], "optim.lr: -1.0 is outside (0, inf)"),
        ([f"--config={LENET}", "--config.data.batch_size=2.5"], "data.batch_size: '2.5' must be a whole number"),
        (
            [f"--config={LENET}", "--config.data.batch_size=none"],
            "data.batch_size: none is not possible; must be a whole number",
        ),
        ([f"--config={LENET}", "--config.data.flip=maybe"], "data.flip: 'maybe' must be true or false"),
        ([f"--config={LENET}", "--config.seeds=1,1"], "seeds: (1, 1) must be one or more different whole numbers"),
        ([f"--config={LENET}", "--config.seeds=a"], "seeds: ('a',) must be"),
        ([f"--config={LENET}", "--config.seeds="], "seeds: () must be"),
        ([f"--config={LENET}", "--config.dtype=float8"], "dtype: unknown 'float8'; did you mean 'float32'?"),
        ([f"--config={LENET}", "--config.optim.steps=3 epoch s"], "optim.steps: '3 epoch s' is no duration"),
        ([f"--config={LENET}", "--config.optim.steps=0"], "optim.steps: comes to 0 steps"),
        ([f"--config={LENET}", "--config.optim.steps=-5"], "optim.steps: -5 is no duration"),
        (
            [f"--config={ADDING}", "--config.optim.steps=3 epochs"],
            "optim.steps: '3 epochs', but generated data has no epochs",
        ),
        ([f"--config={LENET}", "--config.model.name=lenet"], "model.name: unknown 'lenet'; did you mean 'lenet5'?"),
        ([f"--config={LENET}", "--config.optim.name=adamw"], "optim.name: unknown 'adamw'; did you mean 'adam'?"),
        ([f"--config={LENET}", "--config.model.activation=swish"], "model.activation: unknown 'swish'; have"),
        ([f"--config={LENET}", "--config.data.pad=0"], "model: LeNet-5 takes images of 32 x 32 x 1, not 28 x 28 x 1"),
        ([f"--config={LENET}", "--config.data.scale=log"], "data.scale: unknown 'log'; have unit, lecun, standard"),
        (
            [f"--config={LENET}", "--config.data.source=cloud"],
            "data.source: unknown 'cloud'; have auto, tfds, files, embedded",
        ),
        ([f"--config={LENET}", "--config.data.source=files"], "scripts.prepare_data fashion_mnist"),
        (
            [f"--config={LENET}", "--config.data.name=japanese_vowels"],
            "takes image inputs, but data.name='japanese_vowels' gives sequence ones; have sequence_readout, lstm1997, tagger",
        ),
        (
            [f"--config={ADDING}", "--config.task.name=classify"],
            "needs class or classes targets, but data.name='adding' has real ones",
        ),
        ([f"--config={ADDING}", "--config.data.T=7"], "data.T: 7 must be an even number"),
        ([f"--config={LENET}", "--config.parallel.devices=3"], "128 does not divide over 3 devices; [1, 2, 4, 8] do"),
        ([f"--config={LENET}", "--config.parallel.devices=64"], "parallel.devices: 64, but there are 8"),
        (
            [f"--config={LENET}", "--config.optim.weight_decay=1", "--config.optim.decay=l2"],
            "optim.decay: unknown 'l2'; have coupled, decoupled",
        ),
        ([f"--config={LENET}", "--config.optim.lr"], "--config.optim.lr: needs a value"),
        ([f"--config={LENET}", "--config.optim=3"], "optim is a section; set optim.name"),
        ([f"--config={LENET}", "--evalonly"], "unknown flag '--evalonly'"),
        (["--config=configs/lenet_fashion_mnsit.py"], "did you mean 'configs/lenet_fashion_mnist.py'?"),
        ([f"--config={VOWELS}", "--config.model.dropout=1"], "model.dropout: 1.0 is outside [0, 1)"),
        ([f"--config={VOWELS}", "--config.model.hidden=0"], "model.hidden: 0 must be at least 1"),
        ([f"--config={VOWELS}", "--config.data.validation=270"], "data.validation: 270 is outside [0, 270)"),
        (
            [f"--config={LENET}", "--config.schedule.name=step", "--config.schedule.boundaries=1 epic"],
            "schedule.boundaries: '1 epic'",
        ),
        ([f"--config={LENET}", "--config.optim.b1=1.5"], "optim.b1: 1.5 is outside [0, 1)"),
        ([f"--config={LENET}", "--config.schedule.name=exponential", "--config.schedule.every=0"], "schedule.every: 0 must be"),
        (
            [f"--config={LENET}", "--config.schedule.name=plateau", "--config.schedule.patience=0"],
            "schedule.patience: 0 must be",
        ),
        ([f"--config={LENET}", "--config.optim.steps=²"], "optim.steps: '²' is no duration"),
        ([f"--config={LENET}", "--config.optim.steps=99999999999"], "below 2**31"),
        ([f"--config={LENET}", "--config.optim.accumulate=100000"], "optim.accumulate: 100000 batches an update"),
        ([f"--config={LENET}", "--config.schedule.warmup_factor=0.1"], "warmup_factor: 0.1 does nothing without"),
        ([f"--config={LENET}", "--config.data.aspect=1,2"], "data.aspect: (1, 2) does nothing without data.area"),
        (
            [f"--config={LENET}", "--config.model.name=vgg", "--config.model.bn_momentum=0.5"],
            "model.bn_momentum: 0.5 does nothing without model.batch_norm",
        ),
        (
            [
                f"--config={VOWELS}",
                "--config.model.name=tagger",
                "--config.model.directions=forward",
                "--config.model.merge=sum",
            ],
            "model.merge: 'sum' does nothing without model.directions=both",
        ),
        ([f"--config={LENET}", "--config.stop.at_most=3"], "stop.at_most: 3.0 does nothing without stop.metric"),
        (
            [f"--config={LENET}", "--config.stop.metric=train/error", "--config.stop.at_most=-1"],
            "stop.at_most: -1.0 is outside [0, inf)",
        ),
        (
            [f"--config={LENET}", "--config.schedule.warmup=3000000000"],
            "schedule.warmup: comes to 3e+09 steps, must be below 2**31",
        ),
        (
            [f"--config={LENET}", "--config.schedule.name=step", "--config.schedule.boundaries=3000000000"],
            "schedule.boundaries: comes to 3e+09 steps",
        ),
        (
            [f"--config={LENET}", "--config.schedule.name=plateau", "--config.schedule.patience=3000000000"],
            "schedule.patience: 3000000000 must be at least 1 and below 2**31",
        ),
        (
            [
                "--config=configs/copy_memory.py:T=1000",
                *(f"--config.{key}=60000" for key in ("optim.steps", "log.every", "checkpoint.every")),
            ],
            "log.every: 60,000 steps of 40,800 items are more than 2**31 - 1",
        ),
        ([f"--config={ADDING}", "--config.model.name=tagger"], "it answers every time step, the targets are once a sequence"),
        (
            ["--config=configs/papers/lstm1997/embedded_reber.py:paper/4 blocks of 1 at 0.1", "--config.task.tolerance=0.3"],
            "task.tolerance: 0.3 does nothing, as data.name='embedded_reber' says itself which outputs are right; have none",
        ),
        (
            ["--config=configs/copy_memory.py", "--config.model.name=sequence_readout"],
            "it answers once a sequence, the targets are every time step; have model.name='tagger'",
        ),
        ([f"--config={LENET}", "--config.schedule.name=step"], "schedule.boundaries: name at least one"),
        ([f"--config={LENET}", "--config.data.shift=100"], "data.shift: 100 is outside [0, 28]"),
        (["--config=README.md"], "README.md is no Python file"),
        ([f"--config={LENET}:T=3"], "takes no argument"),
        ([f"--config={ADDING}:S=3"], "unknown argument 'S'"),
        ([f"--config={ADDING}:T=long"], "argument T: 'long' is not of type int"),
        ([], "--config"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_before_the_workdir_is_touched(tmp_path, arguments, words):
    line = refused(*arguments, f"--workdir={tmp_path / 'run'}")
    assert words in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text",
    ["import nothing_of_the_kind", "def get_config(:", "x = 1", "def get_config():\n    return 3", "raise SystemExit(3)"],
)
def test_a_broken_config_file_is_named_in_the_line(tmp_path, text):
    file = tmp_path / "broken.py"
    file.write_text(text)
    assert refused(f"--config={file}").startswith(str(file))


def test_choosing_another_name_brings_its_keys_and_keeps_the_common_ones():
    config = base.override(base.get_config(), {"optim.lr": 0.5, "optim.b1": 0.8})
    base.override(config, {"optim.momentum": 0.7, "optim.name": "momentum"})
    assert (config.optim.lr, config.optim.momentum) == (0.5, 0.7)
    assert "b1" not in config.optim
    with pytest.raises(BadInput, match="unknown key 'optim.b1'"):
        base.override(config, {"optim.b1": 0.8})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("c.foo = 3", "foo: is not a key of the schema"),
        ("c.eval.often = 3", "eval.often: is not a key of the schema"),
        ("del c.eval", "eval.batch_size: is missing"),
        ("del c.model", "model is no section with a name"),
        ("c.optim = dict(c.optim, lr='big')", "optim.lr: 'big' is a str, must be a number"),
        ("c.eval = dict(every=1.5, batch_size=5, ensemble=1)", "eval.every: 1.5 is a float, must be a duration"),
    ],
)
def test_what_a_file_does_to_an_unlocked_config_is_checked_all_the_same(tmp_path, change, words):
    file = tmp_path / "unlocked.py"
    body = f"    c = base.get_config().unlock()\n    {change}\n    return c\n"
    file.write_text(f"from configs import base\n\ndef get_config():\n{body}")
    assert words in refused(f"--config={file}")


def test_the_name_that_a_section_has_already_changes_nothing():
    config = load.load(LENET)[1]
    before = base.flatten(config)
    assert base.flatten(base.override(config, {"model.name": "lenet5", "data.name": "fashion_mnist"})) == before


def test_a_name_set_past_override_is_refused():
    config = base.get_config()
    config.optim.name = "momentum"
    with pytest.raises(BadInput, match=r"optim\.b1: is not a key of optim\.name='momentum'"):
        base.validate(config)


def test_durations_are_steps_or_epochs():
    steps = resolver(46.875)
    assert [steps("k", d) for d in (7, "7 steps", "1 epoch", "20 epochs")] == [7, 7, 46.875, 937.5]


def test_an_epoch_of_no_whole_number_of_steps_is_due_where_its_multiples_round_to():
    due, step = [], 0
    while len(due) < 8:
        step = next_due(step, 46.875)
        due.append(step)
    assert due == [round(46.875 * k) for k in range(1, 9)]
    assert next_due(233, 5 * 46.875) == due[4]


def test_help_says_how_to_set_a_key():
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    assert stop.value.code == 0 and "--config.KEY=VALUE" in out.getvalue()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in CONFIGS:
        (GOLDEN / pathlib.Path(name).with_suffix(".txt").name).write_text(dump(name))
