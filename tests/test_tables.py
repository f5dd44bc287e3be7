"""Tables of papers: every row builds and takes steps, and prints what the paper does."""

import csv
import functools
import inspect
import json
import pathlib
import re

import helpers
import pytest

import architectures
from configs import base, load
from scripts import paper_index, paper_pages, table_runs
from train import __main__ as command
from train import experiment

FILES = sorted(paper_pages.PAPERS.glob("*/[a-z]*.py"))
TABLES = {file: load.load_table(str(file))[1] for file in FILES}
SCALES = [(file, scale) for file, table in TABLES.items() for scale in table.scales]
ROWS = [
    (file, scale, row)
    for file, table in TABLES.items()
    for scale in table.scales
    for row in table.names(scale)
]


def name(case):
    return "/".join(
        str(part.relative_to(paper_pages.PAPERS)) if isinstance(part, pathlib.Path) else part
        for part in case
    )


# most of what building costs
WORDS = {name: functools.cache(experiment.DATASETS[name]) for name in ("cmudict", "kjv")}
SHAPES = {}  # as text: network and examples -> what Experiment.shapes came to


def traced_once(monkeypatch):
    """Has rows with the same network on the same shapes share one trace of it; tracing is what
    building costs."""
    trace = experiment.Experiment.shapes.func

    def shapes(e):
        examples = [e.example_shapes(split) for split in ("train", *e.dataset.evals)]
        key = f"{e.model} {e.task.sums.__qualname__} {examples}"
        if key not in SHAPES:
            SHAPES[key] = trace(e)
        return SHAPES[key]

    shared = functools.cached_property(shapes)
    shared.__set_name__(experiment.Experiment, "shapes")
    monkeypatch.setattr(experiment.Experiment, "shapes", shared)


@pytest.mark.parametrize("case", ROWS, ids=name)
def test_every_row_of_every_scale_builds_and_has_the_papers_parameters(case, monkeypatch):
    file, scale, row = case
    table = TABLES[file]
    helpers.stand_in_data(monkeypatch)
    traced_once(monkeypatch)
    monkeypatch.setattr(experiment, "DATASETS", experiment.DATASETS | WORDS)
    config = table.config(row, scale)
    base.validate(config)
    parameters = experiment.build(config).parameters
    if table.row(row).parameters and scale == "paper":
        assert parameters == table.row(row).parameters


@pytest.mark.parametrize("case", SCALES, ids=name)
def test_no_two_rows_of_a_table_are_the_same_experiment(case):
    file, scale = case
    table, rows = TABLES[file], {}
    for row in table.names(scale):
        config = table.config(row, scale).to_dict()
        model = config.pop("model")
        symbols = (
            {"symbols": 9}
            if "symbols" in inspect.signature(architectures.MODELS[model["name"]]).parameters
            else {}
        )
        same = rows.setdefault(
            f"{architectures.build(outputs=9, **symbols, **model)} {config} {table.row(row).of}",
            row,
        )
        assert same == row


@pytest.mark.full
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in ROWS
        if case[1] == "small" or (case[0].parent.name, case[1]) == ("lstm1997", "paper")
    ],
    ids=name,
)
def test_every_row_that_needs_no_other_data_takes_two_steps(case, tmp_path):
    file, scale, row = case
    arguments = [
        f"--config={file}:{scale}/{row}",
        f"--workdir={tmp_path / 'run'}",
        "--config.seeds=0",
        "--config.optim.steps=2",
    ]
    assert (
        command.main([*arguments, "--config.parallel.seeds=map", "--config.schedule.warmup=0"]) == 0
    )
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 2


def test_the_papers_numbers_are_those_of_the_sheet():
    """tests/paper_numbers.csv was typed from the papers, apart from the tables."""
    sheet = {
        (r["table"], r["row"]): r["paper"]
        for r in csv.DictReader(pathlib.Path(__file__).with_name("paper_numbers.csv").open())
    }
    ours = {
        (f"{file.parent.name}/{file.stem}", row.name): row.paper
        if isinstance(row.paper, str)
        else f"{row.paper:g}"
        for file, table in TABLES.items()
        for row in table.rows
        if row.paper is not None
    }
    assert {
        key: f"{float(text):g}" if re.fullmatch(r"[\d.]+", text) else text
        for key, text in sheet.items()
    } == ours


def test_every_readme_of_a_paper_matches_its_results_and_every_figure_is_there():
    assert paper_index.stale(paper_pages.PAPERS) == []
    for file in FILES:
        for scale in paper_pages.scales_run(TABLES[file], table_runs.read(file.parent), file):
            assert (file.parent / paper_pages.figure_name(file, scale)).exists()
