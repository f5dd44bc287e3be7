"""A run remembers the file that its config came from; nobody else's file is run for it."""

import json

import numpy as np
import pytest
from etils import epath
from helpers import python, train

from architectures import MODELS
from architectures.cells import CELLS
from configs import load
from scripts import generate, transduce, weights
from train import config_file, experiment, run_notes, trained
from train.checkpoint import Checkpoints
from train.data import DATASETS
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import no_sums

FILE = """
import dataclasses, pathlib
from architectures import cells
from configs import base
from train.data import DATASETS

with open(__file__ + ".runs", "a") as file:
    file.write("run\\n")


def mine(*, T: int = 5):
    data = DATASETS["adding"](T=T, examples=8)
    return dataclasses.replace(data, classes=("low", "high"))


DATASETS["mine"] = mine
cells.CELLS["my_cell"] = cells.CELLS["elman"]


def get_config(T: str):
    changes = {"data.name": "mine", "task.name": "regress", "model.name": "sequence_readout"}
    base.override(c := base.get_config(), changes)
    return base.override(c, {"model.cell": "my_cell", "model.hidden": 4, "data.T": T})
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of one's own; what it enters is gone from the tables whenever `forget` is called."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "mine.py").write_text(FILE)
    yield tmp_path / "mine.py"
    forget()


def forget():
    """As in another process."""
    config_file._entered.clear()
    DATASETS.pop("mine", None), CELLS.pop("my_cell", None)


def times_run(file) -> int:
    log = file.parent / f"{file.name}.runs"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def run(file, tmp_path):
    """The folder of a run of `file`, which was run once for it, with two checkpoints."""
    workdir = epath.Path(tmp_path / "run")
    workdir.mkdir()
    _, config = load.load(f"{file}:8")
    built = experiment.build(config)
    notes = config_file.notes(file, "8", config.to_dict())
    config_file.vouch(notes)
    run_notes.write(workdir, file=notes, network=run_notes.network(built))
    (workdir / "config.json").write_text(load.as_json(config))
    with Checkpoints(workdir / "checkpoints", 2) as checkpoints:
        carry = fresh_state(built), {k: np.zeros(s.shape) for k, s in no_sums(built).items()}
        for step in (1, 2):
            checkpoints.save(step, carry, {"data": "generated"})
            checkpoints.wait()
    (workdir / "metrics.jsonl").write_text(
        "".join(
            json.dumps(dict(step=step, split="test", mse=[mse])) + "\n"
            for step, mse in ((1, 0.5), (2, 0.7))
        )
    )
    forget()
    return workdir


def edit_notes(run, **changes):
    notes = json.loads((run / "run.json").read_text())
    notes["file"] |= changes
    (run / "run.json").write_text(json.dumps(notes))


def test_a_run_of_a_file_of_ones_own_is_asked_without_naming_it(run, file):
    found = trained.load(str(run))
    assert (found.step, found.classes, times_run(file)) == (2, ["low", "high"], 2)
    inputs, mask = np.zeros([3, 8, 2], np.float32), np.ones([3, 8], bool)
    model = trained.network(found)
    assert model.apply(found.variables[0], inputs, mask, train=False).shape == (3, 1)
    assert trained.dataset(found).examples == {"test": 8}
    assert times_run(file) == 2  # once in a process


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda run, file: file.unlink(), "which is gone"),
        (lambda run, file: file.write_text(FILE + "\n"), "which has changed since"),
        (
            lambda run, file: [mark.unlink() for mark in file.parent.glob("cache/canon/files/*")],
            "with which you have not trained on this machine",
        ),
    ],
)
def test_a_file_that_is_gone_changed_or_of_another_user_is_not_run_unasked(run, file, spoil, why):
    before = times_run(file)
    spoil(run, file)
    with pytest.raises(BadInput, match=rf"model.cell='my_cell' came from .*mine.py, {why}.*--conf"):
        trained.load(run)
    assert times_run(file) == before


def test_a_changed_file_that_the_command_line_names_is_run_with_a_word(run, file):
    file.write_text(FILE + "\n")
    said = []
    found = trained.load(run, said.append, config_file=str(file))
    assert times_run(file) == 2 and len(said) == 1
    assert "is not the file that the run was trained with" in said[0]
    assert trained.dataset(found).examples == {"test": 8}


@pytest.mark.parametrize("defines", [{"cell": "my_cell"}, {"model": "sequence_readout"}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda run: transduce.main([f"--workdir={run}", "text"]),
        lambda run: transduce.main([f"--workdir={run}", "--evaluate=test"]),
        lambda run: generate.main([f"--workdir={run}"]),
        lambda run: weights.main(["torchvision/vgg11", str(run), f"{run}.npz", "--reverse"]),
    ],
)
def test_a_strangers_run_runs_no_file_that_lies_where_it_says(run, tmp_path, ask, defines):
    evil = tmp_path / "evil.py"
    evil.write_text(FILE)
    edit_notes(run, path=str(evil), digest=config_file.digest(evil), defines=defines)
    with pytest.raises(BadInput, match="evil.py, with which you have not trained"):
        ask(run)
    assert times_run(evil) == 0


@pytest.mark.parametrize(
    "notes", ["[]", '{"file": 3}', '{"file": {"path": 3}}', '{"file": {"defines": [1]}}', "{"]
)
def test_a_damaged_run_json_is_refused_in_one_line(run, notes):
    (run / "run.json").write_text(notes)
    with pytest.raises(BadInput, match="run.json"):
        trained.load(run)


def test_a_run_from_before_there_was_a_run_json_says_what_its_file_defined(run, file):
    (run / "run.json").unlink()
    with pytest.raises(BadInput, match="model.cell='my_cell' is not of this code; name the file"):
        trained.load(run)
    assert trained.load(run, config_file=f"{file}:8").step == 2


def test_a_file_that_defined_the_data_alone_is_not_needed_where_no_data_are(run, file):
    edit_notes(run, defines={"data": "mine"})
    config = json.loads((run / "config.json").read_text())
    config["model"]["cell"] = "elman"
    (run / "config.json").write_text(json.dumps(config))
    file.unlink()
    found = trained.load(run)
    trained.network(found)
    with pytest.raises(BadInput, match="data.name='mine' came from .*mine.py, which is gone"):
        trained.dataset(found)


def test_other_data_under_the_same_name_are_refused(run):
    found = trained.load(run)._replace(data_digest="a" * 64)
    with pytest.raises(BadInput, match="it was trained on other data .digest aaaaaaaaaaaa, now ge"):
        trained.dataset(found)


def test_the_best_checkpoint_is_the_one_with_the_lowest_metric_and_any_can_be_chosen(run):
    said = []
    assert trained.load(run, said.append, checkpoint="best").step == 1
    assert said == ["step 1 is the best checkpoint of 1, 2: test/mse 0.5"]
    assert [trained.load(run, checkpoint=which).step for which in ("1", "2", "latest")] == [1, 2, 2]
    with pytest.raises(BadInput, match="no checkpoint '3' in .*; choose from latest, best, 1, 2"):
        trained.load(run, checkpoint="3")


def test_a_chosen_checkpoint_that_is_broken_is_refused_and_none_taken_in_its_place(run):
    for data in (run / "checkpoints" / "1" / "meta").iterdir():
        data.write_text("{}")
    with pytest.raises(BadInput, match="checkpoint 1 in .* is broken .*; choose another"):
        trained.load(run, checkpoint="1")


@pytest.mark.parametrize("name", ["fashion_mnist", "sequential_fashion_mnist"])
def test_each_output_of_a_set_whose_classes_are_known_has_a_name(name):
    data = DATASETS[name](source="embedded")
    assert len(set(data.classes)) == data.outputs and data.classes[9] == "Ankle boot"


def test_a_name_that_a_file_took_from_a_built_in_entry_is_noted(monkeypatch):
    config = {"model": {"name": "lenet5"}, "data": {"name": "kjv"}}
    assert config_file.entries(config) == {}
    monkeypatch.setitem(MODELS, "lenet5", MODELS["lenet4"])
    assert config_file.entries(config) == {"model": "lenet5"}


@pytest.mark.full
@pytest.mark.parametrize(
    ("spec", "commands"),
    [
        ("pairs", [["scripts.transduce", "--evaluate=test", "--limit=3", "--checkpoint=best"]]),
        ("stream", [["scripts.generate", "--tokens=5", "--checkpoint=2"], ["scripts.generate"]]),
    ],
)
def test_later_commands_in_other_processes_know_the_data_cells_and_networks_of_a_file(
    tmp_path, spec, commands
):
    """Real processes: what the file enters is nowhere but in the process that runs it."""
    (tmp_path / "mine.py").write_text("""
import functools
from architectures import MODELS, cells
from configs import base
from train.data import DATASETS

DATASETS["pairs"], DATASETS["stream"] = DATASETS["cmudict"], DATASETS["kjv"]
MODELS["my_seq2seq"] = functools.partial(MODELS["seq2seq"], attention="general")
cells.CELLS["my_cell"] = cells.CELLS["gru"]


def get_config(data: str):
    model, task = dict(
        pairs=("my_seq2seq", "transduce"), stream=("language_model", "language_model")
    )[data]
    c = base.get_config()
    base.override(c, {"data.name": data, "model.name": model, "task.name": task})
    every = {f"{what}.every": 1 for what in ("eval", "log", "checkpoint")}
    small = {"model.cell": "my_cell", "model.hidden": 8, "model.embedding": 8, "optim.steps": 2}
    return base.override(c, every | small)
""")
    workdir, cache = f"--workdir={tmp_path / 'run'}", dict(XDG_CACHE_HOME=str(tmp_path / "cache"))
    config = f"--config={tmp_path / 'mine.py'}:{spec}"
    done = train(config, workdir, devices=1, **cache)
    assert done.returncode == 0, done.stderr
    for module, *flags in commands:
        asked = python("-m", module, workdir, *flags, devices=1, **cache)
        assert (asked.returncode, "Traceback" in asked.stderr) == (0, False), asked.stderr
    elsewhere = dict(XDG_CACHE_HOME=str(tmp_path / "another machine's"))
    asked = python("-m", commands[0][0], workdir, *commands[0][1:], devices=1, **elsewhere)
    assert asked.returncode == 2 and asked.stderr.count("\n") == 1
    assert "with which you have not trained on this machine" in asked.stderr
    named = python("-m", commands[0][0], workdir, *commands[0][1:], config, devices=1, **elsewhere)
    assert named.returncode == 0, named.stderr
