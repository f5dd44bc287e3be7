"""What the pages tell to write works as it stands there."""

import csv
import json
import pathlib
import re
import shlex

import helpers
import pytest

import architectures
from configs import load
from scripts import report, sweep
from train import __main__ as command
from train import experiment
from train.data import DATASETS
from train.tasks import TASKS

OWN = """
from __future__ import annotations
import numpy as np
from architectures import MODELS, alexnet
from configs import base
from train.data import DATASETS, japanese_vowels
from train.tasks import TASKS, Task, classify

def vowels(*, steps=7):
    import dataclasses
    assert steps == 5
    return dataclasses.replace(japanese_vowels(), metadata={})

def judged_by(metric):
    def task():
        plain = classify()
        def sums(outputs, batch):
            found = plain.sums(outputs, batch)
            return found | {"sure": found["count"] * 0.25}
        return Task(plain.targets, metric, sums)
    return task

DATASETS["own_vowels"] = vowels
TASKS |= dict(own=judged_by("sure"), lost=judged_by("lost"))
MODELS |= dict(no_default=lambda outputs, dtype, axis_name, depth: None)

def get_config():
    c = base.get_config()
    names = {"model.name": "sequence_readout", "data.name": "own_vowels", "task.name": "own"}
    return base.override(c, names | {"data.steps": 5, "optim.steps": 3})
"""
ROOT = pathlib.Path(__file__).parent.parent
PAGES = {  # those that are written by hand
    str(path.relative_to(ROOT)): path.read_text()
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/**/*.md")])
    if not path.is_relative_to(ROOT / "configs" / "papers") or path.parent.name == "papers"
}


with report.RESULTS.open() as file:
    # the newest
    RESULTS = {
        row["command"]: row for row in sorted(csv.DictReader(file), key=lambda row: row["finished"])
    }


def commands() -> list[str]:
    """Each training command of the pages' blocks and of configs/results.csv, but those of files of
    one's own."""
    pages = "\n".join(PAGES.values())
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", pages, re.DOTALL | re.MULTILINE))
    found = re.findall(r"^(python -m train --config=.*?)(?:  .*)?$", blocks, re.MULTILINE)
    return sorted({command for command in (*found, *RESULTS) if "mine/" not in command})


def built(command: str, monkeypatch):
    """The experiment of a training command, with data that stands in for what is not in the
    repository."""
    words = shlex.split(command)[3:]
    flags = [word for word in words[1:] if word.startswith("--config.")]
    config = load.load(words[0].removeprefix("--config="), load.from_command_line(flags))[1]
    helpers.stand_in_data(monkeypatch)
    return experiment.build(config)


@pytest.mark.parametrize("command", commands())
def test_a_command_that_a_page_shows_is_of_a_config_that_can_be_built(command, monkeypatch):
    assert built(command, monkeypatch).steps > 0


OF_OTHER_SIZE = ("brown", "reina_valera")  # texts in whose place a few lines stand


@pytest.mark.parametrize(
    "command", [c for c in RESULTS if not any(text in c for text in OF_OTHER_SIZE)]
)
def test_the_newest_result_of_a_command_is_of_the_steps_that_it_takes_today(command, monkeypatch):
    assert int(RESULTS[command]["steps"]) == built(command, monkeypatch).steps


def test_the_network_and_table_of_ones_own_train_and_are_judged_in_a_folder_of_their_own(tmp_path):
    (block,) = re.findall("```python\n(.*?)```", PAGES["configs/README.md"], re.DOTALL)
    table, runs = tmp_path / "mine" / "widths.py", f"--workdir={tmp_path / 'runs'}"
    table.parent.mkdir()
    table.write_text(block.replace("2 epochs", "2 steps"))
    assert sweep.main([str(table), runs, "--seeds=2"]) == 0 == report.main([str(table), runs])
    results = [
        json.loads((tmp_path / "runs" / "small" / row / "result.json").read_text())
        for row in ("10_units", "100_units")
    ]
    assert [result["parameters"] for result in results] == [
        (32 * 32 + 1) * units + (units + 1) * 10 for units in (10, 100)
    ]
    page = (table.parent / "README.md").read_text()
    assert "100 units are better than 10" in page and "paper" not in page


def test_the_readmes_network_is_that_of_the_whole_file():
    (short,) = re.findall("```python\n(.*?)```", PAGES["README.md"], re.DOTALL)
    assert re.sub("  #.*", "", short) in re.sub("  #.*", "", PAGES["configs/README.md"])


def test_the_python_of_the_networks_page_runs():
    (block,) = re.findall("```python\n(.*?)```", PAGES["architectures/README.md"], re.DOTALL)
    names = {}
    exec(block, names)
    assert names["logits"].shape == (8, 10)


@pytest.mark.parametrize("page", PAGES)
def test_a_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if target.startswith("http"):
            continue
        file, _, heading = target.partition("#")
        path = (folder / file).resolve() if file else ROOT / page
        assert path.exists(), target
        if heading:
            heads = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
            assert heading in slugs, target


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 140 and len(PAGES["README.md"].split()) <= 1600


@pytest.fixture
def own(tmp_path, monkeypatch):
    for kind in (architectures.MODELS, DATASETS, TASKS):
        for name in ("no_default", "own_vowels", "own", "lost"):
            monkeypatch.setitem(kind, name, None)  # so that it goes again
            monkeypatch.delitem(kind, name)
    (tmp_path / "own.py").write_text(OWN)
    return f"--config={tmp_path / 'own.py'}", f"--workdir={tmp_path / 'run'}"


def test_a_data_set_and_a_task_of_ones_own_train_and_are_judged_by_a_metric_of_their_own(
    own, tmp_path, capsys
):
    assert command.main([*own]) == 0 == command.main([*own])
    assert "is done" in capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["metric"] == "test/sure" and result["metrics"]["test/sure"]["mean"] == 0.25


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (
            "task.name=lost",
            "task.name: 'lost' is judged by test/lost, but its sums give train/loss, train/error, "
            "train/sure,",
        ),
        ("model.name=no_default", "depth: a key needs a default"),
    ],
)
def test_what_is_missing_in_an_entry_of_ones_own_is_said_in_one_line(own, key, says):
    assert says in helpers.refused(*own, f"--config.{key}")


def test_a_network_of_ones_own_without_a_field_that_it_is_given_is_refused_with_its_name():
    with pytest.raises(ValueError, match="'sequence_readout' has no field axis"):
        architectures.build("sequence_readout", outputs=3, axis=None)
