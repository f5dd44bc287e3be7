"""Reports: what is printed is what was measured."""

import collections
import csv
import json

import numpy as np
import pytest
from etils import epath

from scripts import report as script
from scripts import table_figure
from train import log, report
from train.errors import BadInput
from train.log import nan_to_none, summary


def result(seconds=1.0, finished="2026-01-01T00:00:00+00:00", values=(8.0, 9.0)):
    return dict(
        command="python -m train --config=configs/c.py",
        metric="test/error",
        metrics={"test/error": dict(per_seed=list(values))},
        seeds=[0, 1],
        steps=1200,
        parameters=7,
        seconds=seconds,
        device=dict(kind="cpu", count=2, cores=2),
        data=dict(source="embedded", examples=dict(train=6000, test=1000), digest="a" * 64),
        versions=dict(jax="1.2", python="3.11"),
        git="b" * 40,
        finished=finished,
    )


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A README and a results.csv of our own, and a run to report."""
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script.paper_index, "stale", lambda papers: [])
    monkeypatch.setattr(script.paper_index, "score", lambda papers: collections.Counter(held=2))
    monkeypatch.setattr(script.table_report, "write_all", lambda: None)
    monkeypatch.setattr(script, "SHOWN", {"a thing": "c.py"})
    for name, file in dict(RESULTS="results.csv", PAGE="page.md", FRONT="README.md").items():
        monkeypatch.setattr(script, name, tmp_path / file)
    for file in ("page.md", "README.md"):
        old = f"{script.BEGIN}old\n{script.paper_index.END}"
        (tmp_path / file).write_text(f"before\n\n{old}\n\nafter\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text(json.dumps(result()))
    return tmp_path


def test_the_pages_of_this_repository_match_its_results():
    rows = list(csv.DictReader(script.RESULTS.open()))
    pages = script.pages(rows)
    assert {page: page.read_text() for page in pages} == pages and len(pages) == 2
    assert script.FRONT.read_text().count("| `") >= len(script.SHOWN) == 8


def test_a_run_becomes_a_row_and_a_line_and_the_rest_of_the_pages_stays(page):
    assert script.main(["--enter", str(page / "run")]) == 0
    front = (page / "README.md").read_text()
    assert front.startswith("before\n") and front.endswith("after\n") and "old" not in front
    assert "| a thing | `c.py` | test/error 8.50 +- 0.71% (N=2) |" in front
    text = (page / "page.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert (
        "| test/error 8.50 +- 0.71% (N=2) | 1,200 in 1 s | cpu x 2, 2 cores, jax 1.2, 2026-01-01, "
        "`bbbbbbb` |" in text
    )
    assert script.main(["--check"]) == 0


def test_a_run_is_entered_once_and_a_newer_one_of_the_same_command_takes_its_line(page):
    script.main(["--enter", str(page / "run")])
    script.main(["--enter", str(page / "run")])
    assert len((page / "results.csv").read_text().splitlines()) == 2
    (page / "run" / "result.json").write_text(
        json.dumps(result(finished="2026-02-02T00:00:00+00:00", values=(1.0, 1.0)))
    )
    script.main(["--enter", str(page / "run")])
    assert len((page / "results.csv").read_text().splitlines()) == 3
    text = (page / "page.md").read_text()
    assert "2026-02-02" in text and "2026-01-01" not in text


@pytest.mark.parametrize("file", ["README.md", "page.md"])
def test_check_fails_when_a_page_says_something_else(page, file):
    script.main(["--enter", str(page / "run")])
    assert script.main(["--check"]) == 0
    (page / file).write_text((page / file).read_text().replace("8.50", "7.50"))
    assert script.main(["--check"]) == 1


def test_without_a_flag_a_run_is_shown_and_nothing_is_written(page, capsys):
    before = {path: path.read_bytes() for path in page.rglob("*") if path.is_file()}
    assert script.main([str(page / "run"), str(page / "run")]) == 0
    assert {path: path.read_bytes() for path in page.rglob("*") if path.is_file()} == before
    text = capsys.readouterr().out
    assert text.count("test/error         8.50 +- 0.71  (8, 9)\n") == 2
    assert "command            python -m train --config=configs/c.py\n" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a RUN or a TABLE.py; or give --enter or --check"),
        (["--enter", "table.py"], "--enter: is of runs"),
        (["--enter", "--check"], "--check: looks at all that is reported"),
    ],
)
def test_a_report_of_nothing_or_of_two_kinds_is_refused_and_writes_nothing(page, arguments, says):
    with pytest.raises(BadInput, match=says):
        script.main(arguments)
    assert sorted(path.name for path in page.iterdir()) == ["README.md", "page.md", "run"]


def test_outside_a_checkout_nothing_is_entered(page):
    (page / "README.md").write_text("somebody else's\n")
    with pytest.raises(BadInput, match="is not a checkout of this repository"):
        script.main(["--enter", str(page / "run")])
    assert (page / "README.md").read_text() == "somebody else's\n"
    assert not (page / "results.csv").exists()


def test_a_folder_without_a_result_is_named(page):
    with pytest.raises(BadInput, match="nowhere: has no result.json"):
        script.main([str(page / "nowhere")])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([8.612], "8.61"),
        ([8.5, 8.7], "8.60 +- 0.14"),
        ([0.0012, 0.0014], "0.0013 +- 0.0001"),
        ([float("nan")], "nan"),
    ],
)
def test_a_summary_is_the_mean_and_for_several_seeds_the_sample_deviation(values, text):
    assert summary(values) == text


def test_what_is_no_number_becomes_null_in_json():
    assert nan_to_none(dict(a=[float("nan"), 1.0], b=(float("inf"), "x"))) == dict(
        a=[None, 1.0], b=[None, "x"]
    )


def test_curves_draw_one_panel_a_metric_also_where_a_value_is_missing_and_where_ensembles_follow_seeds():
    records = [
        dict(step=s, split=split, loss=[1.0 / s, None], error=[50.0, 40.0])
        for s in (1, 2)
        for split in ("train", "test")
    ]
    png = report.curves([*records, dict(step=3, split="test", loss=[0.3], error=[45.0])])
    width, height = np.frombuffer(png[16:24], ">u4")
    assert png.startswith(b"\x89PNG") and width == 2 * 600 and height == 432


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = epath.Path(tmp_path) / "result.json"
    log.write_whole(path, "first")
    with pytest.raises(TypeError):
        log.write_whole(path, None)
    assert path.read_text() == "first"


def test_in_a_figure_a_seed_that_was_done_keeps_its_last_value_so_the_median_is_of_all_seeds():
    nan = np.nan
    points = table_figure._held(
        np.array([[nan, 9.0, 9.0], [1.0, 9.0, 8.0], [nan, 9.0, 2.0], [nan, 9.0, nan]])
    )
    assert np.ma.median(points, axis=1).tolist() == [9.0, 8.0, 2.0, 2.0]
    assert points.mask.tolist() == [[True, False, False]] + [[False] * 3] * 3
