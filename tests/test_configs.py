"""The config: every key read, every typo refused, one mechanism for files, rows and the command
line."""

import contextlib
import inspect
import io
import pathlib
import re

import folders
import helpers
import pytest
from helpers import LENET, refused_command

from configs import base, load
from train import __main__ as command
from train import experiment
from train.data import texts, tfds_text
from train.duration import next_due, resolver
from train.errors import BadInput

CONFIGS = sorted(str(p.relative_to(load.ROOT)) for p in (load.ROOT / "configs").glob("[a-z]*_*.py"))
GOLDEN = pathlib.Path(__file__).parent / "golden"
KEYS = [(config, key) for config in CONFIGS for key in base.flatten(load.load(config)[1])]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_config_is_what_its_golden_dump_says(config):
    """After a change that is meant: PYTHONPATH=tests python -m tests.test_configs writes the dumps anew."""
    golden = (GOLDEN / pathlib.Path(config).with_suffix(".txt").name).read_text()
    assert dump(config) == golden


def dump(config: str) -> str:
    return "".join(
        f"{key}: {value!r}\n" for key, value in sorted(base.flatten(load.load(config)[1]).items())
    )


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, table in base.TABLES.items() for name in table]
)
def test_the_docstring_of_what_a_section_names_says_each_of_its_keys(kind, name):
    constructor = base.TABLES[kind][name]
    made = getattr(constructor, "func", constructor)
    bases = made.__mro__ if inspect.isclass(made) else [made]
    words = set(
        re.findall(
            r"\w+",
            " ".join(of.__doc__ or "" for of in bases if of.__module__.split(".")[0] != "flax"),
        )
    )
    assert (
        set(inspect.signature(constructor).parameters) - {"name", *base.SUPPLIED.get(kind, ())}
        <= words
    )


@pytest.mark.parametrize(("config", "key"), KEYS)
def test_a_typo_in_any_key_on_the_command_line_is_refused_with_that_key_as_suggestion(config, key):
    typo = key + key[-1]
    assert f"unknown key {typo!r}; did you mean {key!r}?" in refused_command(
        f"--config={config}", f"--config.{typo}=1"
    )


@pytest.mark.parametrize(("config", "key"), KEYS)
def test_a_typo_in_any_key_in_a_file_is_refused_with_that_key_as_suggestion(tmp_path, config, key):
    last = key.rsplit(".", 1)[-1]
    file = tmp_path / "typo.py"
    file.write_text(
        f"from configs import load\n\ndef get_config():\n    c = load.load({config!r})[1]\n    "
        f"c.{key + last[-1]} = 1\n"
    )
    line = refused_command(f"--config={file}")
    assert (
        line.startswith(f"{file}:5: unknown key {last + last[-1]!r}") and last in line.split(";")[1]
    )


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
        folders.prepare_photographs(
            {split: [(folders.jpeg(folders.photograph(0)), 0)] for split in ("train", "validation")}
        )
    if resolved.data.name == "wmt14_translate":
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        folders.prepare_tfds_text(
            "wmt14_translate/fr-en",
            {split: [dict(en="a cat", fr="un chat")] for split in tfds_text.SPLITS},
        )
    monkeypatch.setattr(texts, "load", helpers.or_a_little_text(texts.load))
    # not in the repository; one builder reads all image sets
    if resolved.data.name.startswith("cifar"):
        base.override(resolved, {"data.name": "fashion_mnist"})
    experiment.build(Recorder(resolved, read))
    assert sorted(set(base.flatten(resolved)) - read) == []


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
        ("del c.model", "model is not a section with a name"),
        ("c.optim = dict(c.optim, lr='big')", "optim.lr: 'big' is a str, must be a number"),
        (
            "c.eval = dict(every=1.5, batch_size=5, ensemble=1)",
            "eval.every: 1.5 is a float, must be a duration",
        ),
    ],
)
def test_what_a_file_does_to_an_unlocked_config_is_checked_all_the_same(tmp_path, change, words):
    file = tmp_path / "unlocked.py"
    body = f"    c = base.get_config().unlock()\n    {change}\n    return c\n"
    file.write_text(f"from configs import base\n\ndef get_config():\n{body}")
    assert words in refused_command(f"--config={file}")


def test_the_name_that_a_section_has_already_changes_nothing():
    config = load.load(LENET)[1]
    before = base.flatten(config)
    assert (
        base.flatten(base.override(config, {"model.name": "lenet5", "data.name": "fashion_mnist"}))
        == before
    )


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
