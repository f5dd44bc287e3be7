"""Tables of papers: every row builds and takes steps, sweeps lose nothing, verdicts follow from intervals."""

import csv
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import helpers
import numpy as np
import pytest
import scipy.stats
from etils import epath

from configs import base, load, statistics
from configs.table import Alike, AtBest, Better, Lower, Monotone, Ordered, Row, Scale, Solves, Stopped, Table, Until
from scripts import report as report_script
from scripts import sweep, table_report, table_runs
from train import __main__ as command
from train import experiment, log
from train.errors import BadInput

FILES = sorted(table_report.PAPERS.glob("*/[a-z]*.py"))
TABLES = {file: load.load_table(str(file))[1] for file in FILES}
ROWS = [(file, scale, row) for file, table in TABLES.items() for scale in table.scales for row in table.names(scale)]


def name(case):
    return "/".join(str(part.relative_to(table_report.PAPERS)) if isinstance(part, pathlib.Path) else part for part in case)


SHAPES = {}  # as text: network and examples -> what Experiment.shapes came to


def traced_once(monkeypatch):
    """Has rows with the same network on the same shapes share one trace of it; tracing is what building costs."""
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
    config = table.config(row, scale)
    base.validate(config)
    parameters = experiment.build(config).parameters
    if table.row(row).parameters and scale == "paper":
        assert parameters == table.row(row).parameters


@pytest.mark.full
@pytest.mark.parametrize(
    "case", [case for case in ROWS if case[1] == "small" or (case[0].parent.name, case[1]) == ("lstm1997", "paper")], ids=name
)
def test_every_row_that_needs_no_other_data_takes_two_steps(case, tmp_path):
    file, scale, row = case
    arguments = [
        f"--config={file}:{scale}/{row}",
        f"--workdir={tmp_path / 'run'}",
        "--config.seeds=0",
        "--config.optim.steps=2",
    ]
    assert command.main([*arguments, "--config.parallel.seeds=map", "--config.schedule.warmup=0"]) == 0
    assert json.loads((tmp_path / "run" / "result.json").read_text())["steps"] == 2


def test_the_papers_numbers_are_those_of_the_sheet():
    """tests/paper_numbers.csv was typed from the papers, apart from the tables."""
    sheet = {
        (r["table"], r["row"]): r["paper"] for r in csv.DictReader(pathlib.Path(__file__).with_name("paper_numbers.csv").open())
    }
    ours = {
        (f"{file.parent.name}/{file.stem}", row.name): row.paper if isinstance(row.paper, str) else f"{row.paper:g}"
        for file, table in TABLES.items()
        for row in table.rows
        if row.paper is not None
    }
    assert {key: f"{float(text):g}" if re.fullmatch(r"[\d.]+", text) else text for key, text in sheet.items()} == ours


# statistics


def test_the_interval_of_a_mean_covers_the_truth_95_times_of_100():
    rng = np.random.default_rng(0)
    hits = sum(i.low < 3 < i.high for i in (statistics.mean(rng.normal(3, 2, 4)) for _ in range(4000)))
    assert 0.94 < hits / 4000 < 0.96


def test_a_difference_is_paired_by_seed_so_what_seeds_share_cancels():
    a, b = {0: 10.0, 1: 20.0, 2: 30.0}, {2: 29.0, 0: 9.1, 1: 18.9}
    i = statistics.paired(a, b)
    _, p = scipy.stats.ttest_rel([10, 20, 30], [9.1, 18.9, 29])
    assert i.count == 3 and i.low > 0.7 and p < 0.05 and i.mean == pytest.approx(1.0)


def table(*claims, measure="test/error", better="lower", rows="ab"):
    return Table(
        title="t", measure=measure, better=better, rows=tuple(map(Row, rows)), claims=claims, scales={"small": Scale("")}
    )


@pytest.mark.parametrize(
    ("b", "word"), [((9.0, 9.1, 8.9), "held"), ((12.0, 12.1, 11.9), "not held"), ((9.0, 11.0, 10.0), "undecided")]
)
def test_better_is_held_above_zero_not_held_below_and_undecided_across(b, word):
    claim = Better("b is better", row="b", than="a")
    values = dict(a=dict(enumerate((10.0, 10.2, 9.9))), b=dict(enumerate(b)))
    assert claim.verdict(values, table(claim)).word == word
    turned = dict(held="not held").get(word, "held" if word == "not held" else "undecided")
    assert claim.verdict(values, table(claim, better="higher")).word == turned


def test_one_seed_decides_nothing_and_a_row_that_was_not_run_has_no_verdict():
    claim = Better("b is better", row="b", than="a")
    assert claim.verdict(dict(a={0: 10.0}, b={0: 1.0}), table(claim)).word == "undecided"
    assert claim.verdict(dict(a={0: 10.0}), table(claim)).word == "not run"


def test_five_successes_of_five_do_not_yet_show_a_majority_but_six_do():
    claim = Solves("solves", row="a", level=1.0)
    for count, word in ((5, "undecided"), (6, "held")):
        assert claim.verdict(dict(a=dict.fromkeys(range(count), 1.0)), table(claim)).word == word
    fails = Solves("does not solve", row="a", level=1.0, solves=False)
    assert fails.verdict(dict(a=dict.fromkeys(range(6), 2.0)), table(fails)).word == "held"


def test_a_ratio_of_steps_is_judged_by_its_logarithm():
    measure = Until("train/error", 25.0)
    values = dict(a={0: 600.0, 1: 660.0, 2: 540.0}, b={0: 100.0, 1: 100.0, 2: 100.0})
    for by, word in ((None, "held"), (4.0, "held"), (9.0, "not held"), (6.0, "undecided")):
        claim = Better("six times faster", row="b", than="a", by=by)
        assert claim.verdict(values, table(claim, measure=measure)).word == word


def test_an_order_needs_every_pair_and_alike_needs_the_whole_interval_inside():
    low, mid, high = ({k: v + 0.01 * k for k in range(4)} for v in (1.0, 1.0, 2.0))
    ordered = Ordered("a before b before c", order=("a", "b", "c"))
    assert ordered.verdict(dict(a=low, b=high, c=mid), table(ordered, rows="abc")).word == "not held"
    half = ordered.verdict(dict(a=low, b=mid, c=high), table(ordered, rows="abc"))
    assert half.word == "undecided"  # one pair is held, the other is not decided
    alike = Alike("no difference", row="a", than="b", within=0.5)
    assert alike.verdict(dict(a=low, b=mid), table(alike)).word == "held"
    assert alike.verdict(dict(a=low, b=high), table(alike)).word == "not held"


def test_monotone_lets_neighbours_be_alike_but_none_reversed_and_the_ends_must_differ():
    same, more, most = (
        dict(enumerate((1.0, 1.2, 1.1, 0.9))),
        dict(enumerate((1.1, 1.0, 0.95, 1.2))),
        dict.fromkeys(range(4), 2.0),
    )
    claim = Monotone("the more the worse", order=("a", "b", "c"))
    for (a, b, c), word in (
        ((same, more, most), "held"),
        ((same, most, more), "not held"),
        ((same, more, same), "undecided"),
        ((most, more, same), "not held"),
    ):
        assert claim.verdict(dict(a=a, b=b, c=c), table(claim, rows="abc")).word == word


def test_two_measures_of_one_row_are_compared_seed_by_seed():
    claim = Lower("less of it inside", row="a", measure="inside/mse", than="onset/mse", by=2.0)
    assert table(claim).measures == ("test/error", "inside/mse", "onset/mse")
    inside, onset = {0: 0.1, 1: 0.2, 2: 0.15}, {0: 0.3, 1: 0.62, 2: 0.44}
    assert claim.verdict(dict(a=inside), table(claim), dict(a=onset)).word == "held"
    assert claim.verdict(dict(a=onset), table(claim), dict(a=inside)).word == "not held"
    assert claim.verdict(dict(a=inside), table(claim), {}).word == "not run"


def test_success_is_at_least_the_level_where_higher_is_better():
    claim = Solves("as good as that", row="a", level=0.9)
    values = dict(a=dict.fromkeys(range(6), 0.95))
    assert claim.verdict(values, table(claim, better="higher")).word == "held"
    assert claim.verdict(values, table(claim)).word == "not held"


# measures


def run_with(tmp_path, *records, **result):
    text = "".join(json.dumps(dict(step=step, split=split, error=error)) + "\n" for step, split, error in records)
    (tmp_path / "metrics.jsonl").write_text(text)
    return tmp_path, dict(seeds=[3, 5], steps=30) | result


def test_the_best_validation_step_is_each_seeds_own_and_what_is_reported_is_the_test_there(tmp_path):
    run = run_with(
        tmp_path,
        *((10, "validation", [5.0, 9.0]), (10, "test", [6.0, 10.0]), (20, "validation", [7.0, 2.0]), (20, "test", [1.0, 8.0])),
        *((30, "validation", [8.0, None]), (30, "test", [0.5, 0.0])),
    )
    assert table_runs.values(AtBest("test/error", "validation/error"), *run) == {3: 6.0, 5: 8.0}
    assert table_runs.values("test/error", *run) == {3: 0.5, 5: 0.0}
    for by in ("test/error", "train/error"):
        with pytest.raises(ValueError, match="no result is chosen by the test set"):
            AtBest("test/error", by)


def test_steps_to_a_level_or_to_the_stop_count_whole_runs_where_a_seed_never_came_there(tmp_path):
    run = run_with(tmp_path, (10, "train", [5.0, None]), (20, "train", [2.0, 9.0]), stopped=[17, None])
    assert table_runs.values(Until("train/error", 5.0, examples=4), *run) == {3: 40.0, 5: 120.0}
    assert table_runs.values(Stopped(examples=2), *run) == {3: 34.0, 5: 60.0}


# sweeps

TINY = """
from configs.table import Better, Row, Scale, Table, Until

TABLE = Table(
    title="tiny",
    measure="test/mse",
    base={
        "task.name": "regress", "data.name": "adding", "data.T": 4, "data.examples": 8, "model.name": "sequence_readout",
        "model.hidden": 4, "optim.steps": 60, "log.every": 10, "eval.every": 20, "checkpoint.every": 10,
        "steps_per_dispatch": 5,
    },
    rows=(Row("slow", {"optim.lr": 0.001}, paper=1.0), Row("fast", {"optim.lr": 0.1}), Row("fastest", {"optim.lr": 0.3})),
    claims=(Better("fast is faster", row="fast", than="slow"),
            Better("in fewer steps", row="fast", than="slow", measure=Until("train/mse", 0.3))),
    scales=dict(small=Scale("a toy"), paper=Scale("never run")),
)
"""


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "table.py").write_text(TINY)
    return tmp_path / "tiny" / "table.py"


def start(*arguments):
    environment = os.environ | {"PYTHONPATH": str(load.ROOT), "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command = [sys.executable, "-m", "scripts.sweep", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def numbers(file, workdir):
    report_script.main([str(file), f"--workdir={workdir}"])
    return [(r["row"], r["seed"], r["measure"], r["value"], r["steps"]) for r in table_runs.read(file.parent)]


def test_a_sweep_that_is_killed_ends_with_the_numbers_of_one_that_is_not_and_two_shards_with_those_too(tiny, tmp_path):
    whole, cut, shared = (tmp_path / where for where in ("whole", "cut", "shared"))
    assert start(tiny, f"--workdir={whole}").wait() == 0
    expected = numbers(tiny, whole)
    assert len(expected) == 3 * 3 * 2  # rows, seeds, measures
    killed = start(tiny, f"--workdir={cut}")
    while not list(cut.glob("small/fast/checkpoints/*")) and killed.poll() is None:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (cut / "small" / "fastest").exists()
    assert start(tiny, f"--workdir={cut}").wait() == 0
    assert numbers(tiny, cut) == expected
    shards = [start(tiny, f"--workdir={shared}", f"--shard={i}/2") for i in range(2)]
    assert [shard.wait() for shard in shards] == [0, 0]
    assert numbers(tiny, shared) == expected


ROWS_THAT_GO_ON = """rows=(
    Row("base"), Row("at T=8", {"data.T": 8}, of="base"), Row("further", {"optim.steps": 80, "data.T": 10}, of="at T=8"),"""


def test_a_row_that_goes_on_from_another_evaluates_its_last_checkpoint_or_trains_on_from_there(tiny, tmp_path):
    tiny.write_text(TINY.replace("rows=(", ROWS_THAT_GO_ON))
    runs = tmp_path / "runs" / "small"
    assert sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=further"]) == 0
    assert sorted(run.name for run in runs.iterdir()) == ["at_T=8", "base", "further"]
    base, longer, further = (log.read(runs / name) for name in ("base", "at_T=8", "further"))
    assert [r for r in longer if r["split"] == "train"] == [r for r in base if r["split"] == "train"]  # nothing was trained
    last = {name: records[-1] for name, records in dict(base=base, longer=longer, further=further).items()}
    assert last["longer"]["step"] == 60 and last["longer"]["mse"] != last["base"]["mse"]
    alone = tmp_path / "alone"  # the weights after 60 steps of the first row, then 20 steps of the last one's data
    shutil.copytree(runs / "base" / "checkpoints", alone / "checkpoints")
    arguments = [f"--config={tiny}:small/further", f"--workdir={alone}", "--config.seeds=0,1,2"]
    assert command.main(arguments) == 0
    assert last["further"]["step"] == 80 and log.read(alone)[-1]["mse"] == last["further"]["mse"]
    results = {row["row"]: row for row in table_report.collect(tiny, load.load_table(str(tiny))[1], "small", runs)}
    assert float(results["at T=8"]["run_seconds"]) < float(results["base"]["run_seconds"])


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_row_is_handed_the_last_checkpoint_of_another_until_its_run_has_begun(where, tmp_path, monkeypatch):
    runs = epath.Path(tmp_path) if where == "disk" else helpers.bucket(monkeypatch)
    before, row = runs / "base", runs / "more"
    for step in ("20", "100"):
        (before / "checkpoints" / step / "state").mkdir(parents=True)
        (before / "checkpoints" / step / "state" / "array").write_text(step)
    (before / log.FILE).write_text("records")
    array = row / "checkpoints" / "100" / "state" / "array"
    sweep.hand_over(before, row)
    assert [folder.name for folder in (row / "checkpoints").iterdir()] == ["100"]
    assert (array.read_text(), (row / log.FILE).read_text()) == ("100", "records")
    array.write_text("cut")  # as by a kill
    sweep.hand_over(before, row)
    assert array.read_text() == "100"
    (row / "config.json").write_text("{}")
    array.write_text("trained on")
    sweep.hand_over(before, row)
    assert array.read_text() == "trained on"


def test_a_report_says_what_held_what_was_not_run_and_is_the_same_again(tiny, tmp_path):
    sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=slow,fast"])
    report_script.main([str(tiny), f"--workdir={tmp_path / 'runs'}"])
    page = (tiny.parent / "README.md").read_text()
    assert "| slow | 1.0 |" in page and "| fastest |  |  | not run |" in page
    assert "Scale `paper` (never run): not run." in page and "| fast is faster | **" in page
    results = (tiny.parent / "results.csv").read_text()
    shutil.rmtree(tmp_path / "runs" / "small" / "fast")  # what was entered stays, in its place
    report_script.main([str(tiny), f"--workdir={tmp_path / 'runs'}"])
    assert (tiny.parent / "results.csv").read_text() == results
    assert (tiny.parent / "README.md").read_text() == page == table_report.page(tiny.parent)
    assert (tiny.parent / "table_small.png").read_bytes()[:4] == b"\x89PNG"


def test_a_shard_has_the_rows_that_go_on_from_its_own_and_a_scale_leaves_them_out_with_those():
    rows = (Row("a"), Row("b"), Row("a more", of="a"), Row("c"), Row("a most", of="a more"), Row("b more", of="b"))
    t = Table(title="t", measure="m", rows=rows, scales={"small": Scale(""), "paper": Scale("", without=("a more",))})
    shards = [sweep.chosen(t, "small", None, f"{i}/2") for i in range(2)]
    assert shards == [["a", "a more", "c", "a most"], ["b", "b more"]]
    assert sweep.chosen(t, "small", "a most", "0/1") == ["a", "a more", "a most"]
    assert t.names("paper") == ["a", "b", "c", "b more"]
    with pytest.raises(BadInput, match="'a most' is not run at scale 'paper'; have a, b, c, b more"):
        t.config("a most", "paper")
    with pytest.raises(ValueError, match="before their use"):
        Table(title="t", measure="m", rows=(Row("a", of="b"), Row("b")), scales={})


def test_the_plan_is_printed_and_nothing_runs_in_a_dry_run(tiny, tmp_path, capsys):
    assert sweep.main([str(tiny), "--dry_run", f"--workdir={tmp_path / 'runs'}", "--shard=1/2"]) == 0
    out = capsys.readouterr().out
    assert "fast " in out and "slow" not in out and "not measured yet" in out and not (tmp_path / "runs").exists()


def test_a_row_that_was_run_with_other_seeds_is_refused_before_any_other_runs_and_a_dry_run_says_so(tiny, tmp_path, capsys):
    where = f"--workdir={tmp_path / 'runs'}"
    sweep.main([str(tiny), where, "--rows=fast", "--seeds=2"])
    for more in (["--dry_run"], []):
        with pytest.raises(BadInput, match=r"holds a run of another config \(seeds was \[0, 1\], is \[0, 1, 2\]\)"):
            sweep.main([str(tiny), where, *more])
        lines = capsys.readouterr().out.splitlines()
        assert any("fast " in line and "refused, another config is there" in line for line in lines)
    assert [p.name for p in (tmp_path / "runs" / "small").iterdir()] == ["fast"]
    assert sweep.main([str(tiny), where, "--seeds=2", "--dry_run", "--rows=fast"]) == 0
    assert "2 seeds: done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale=big"], "scale: unknown 'big'; have small, paper"),
        (["--rows=slow,quick"], "row: unknown 'quick'; have slow, fast, fastest"),
        (["--shard=2/2"], "--shard: '2/2' must be i/n"),
        (["--seeds=0"], "--seeds: 0 must be at least 1"),
        (["--seeds=two"], "--seeds"),
    ],
)
def test_a_wrong_flag_of_a_sweep_is_refused_in_one_line(tiny, arguments, words):
    with pytest.raises(BadInput) as error:
        sweep.main([str(tiny), *arguments])
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("table", "scale", "words"),
    [
        ("vgg/depth", "paper", "imagenet2012 is not prepared"),
        ("vgg/depth", "full", "fashion_mnist is not prepared as 'files'"),
        ("resnet/depth", "paper", "cifar10 is not prepared"),
    ],
)
def test_a_scale_whose_data_is_not_there_can_be_planned_and_is_refused_with_the_command_that_prepares_it(
    table, scale, words, tmp_path, capsys
):
    arguments = [f"configs/papers/{table}.py", f"--scale={scale}", f"--workdir={tmp_path / 'runs'}"]
    assert sweep.main([*arguments, "--dry_run"]) == 0 and f"scale {scale}: " in capsys.readouterr().out
    with pytest.raises(BadInput, match=words) as error:
        sweep.main(arguments)
    assert f"run python -m scripts.prepare_data {words.split()[0]}" in str(error.value)
    assert not list((tmp_path / "runs").rglob("*.json*"))


def test_a_file_that_is_no_table_and_a_file_that_is_not_there_are_refused():
    with pytest.raises(BadInput, match="has no TABLE"):
        sweep.main(["configs/lstm_adding.py"])
    with pytest.raises(BadInput, match="did you mean 'configs/papers/lstm1997/adding.py'"):
        sweep.main(["configs/papers/lstm1997/addin.py"])


def test_every_readme_of_a_paper_matches_its_results_and_every_figure_is_there():
    assert table_report.stale() == []
    for file in FILES:
        for scale in table_report.scales_run(TABLES[file], table_runs.read(file.parent), file):
            assert (file.parent / table_report.figure_name(file, scale)).exists()


def test_a_report_updates_the_index_over_all_papers_also_when_named_from_within_a_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(table_report, "PAPERS", tmp_path)
    monkeypatch.chdir(tiny.parent)
    sweep.main(["table.py", f"--workdir={tmp_path / 'runs'}", "--rows=slow"])
    report_script.main(["table.py", f"--workdir={tmp_path / 'runs'}"])
    assert "tiny | small | 1 / 3 | 0 | 0 | 0 |" in (tmp_path / "README.md").read_text()


def test_a_report_of_a_table_without_runs_is_refused_with_the_command_that_makes_them(tiny, tmp_path):
    with pytest.raises(BadInput, match="no finished run in .*; python -m scripts.sweep"):
        report_script.main([str(tiny), f"--workdir={tmp_path / 'nowhere'}"])
    assert not (tiny.parent / "results.csv").exists() and not (tiny.parent / "README.md").exists()


def test_a_run_ends_when_every_seed_came_to_the_level_and_says_at_which_step(tmp_path):
    arguments = ["--config=configs/lstm_adding.py:T=4", f"--workdir={tmp_path / 'run'}", "--config.optim.steps=4000"]
    arguments += ["--config.stop.metric=train/mse", "--config.stop.at_most=0.1", "--config.checkpoint.every=100"]
    assert command.main([*arguments, "--config.model.hidden=8", "--config.data.examples=8"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    steps = table_runs.values(Until("train/mse", 0.1), tmp_path / "run", result)
    assert max(steps.values()) <= result["steps"] < 4000 and result["steps"] - max(steps.values()) < 100
    with pytest.raises(BadInput, match="stop.metric: unknown 'train/errors'; have train/loss, train/mse, test/loss"):
        command.main(["--config=configs/lstm_adding.py:T=4", "--config.stop.metric=train/errors"])
