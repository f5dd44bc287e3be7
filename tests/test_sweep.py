"""Sweeps lose nothing and run nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time

import helpers
import pytest
from etils import epath
from tiny_table import TINY

from configs import load
from configs.table import Row, Scale, Table, Until
from scripts import report as report_script
from scripts import sweep, table_runs
from train import __main__ as command
from train import interruption, log
from train.errors import BadInput, Interrupted, NonFinite


def start(*arguments):
    environment = os.environ | {
        "PYTHONPATH": str(load.ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-m", "scripts.sweep", *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def numbers(file, workdir):
    report_script.main([str(file), f"--workdir={workdir}"])
    return [
        (r["row"], r["seed"], r["measure"], r["value"], r["steps"])
        for r in table_runs.read(file.parent)
    ]


def test_a_sweep_that_is_killed_ends_with_the_numbers_of_one_that_is_not_and_two_shards_with_those_too(
    tiny, tmp_path
):
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


def test_a_row_that_goes_on_from_another_evaluates_its_last_checkpoint_or_trains_on_from_there(
    tiny, tmp_path
):
    tiny.write_text(TINY.replace("rows=(", ROWS_THAT_GO_ON))
    runs = tmp_path / "runs" / "small"
    assert sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=further"]) == 0
    assert sorted(run.name for run in runs.iterdir()) == ["at_T=8", "base", "further"]
    base, longer, further = (log.read(runs / name) for name in ("base", "at_T=8", "further"))
    # nothing was trained
    assert [r for r in longer if r["split"] == "train"] == [
        r for r in base if r["split"] == "train"
    ]
    last = {
        name: records[-1]
        for name, records in dict(base=base, longer=longer, further=further).items()
    }
    assert last["longer"]["step"] == 60 and last["longer"]["mse"] != last["base"]["mse"]
    # the weights after 60 steps of the first row, then 20 steps of the last one's data
    alone = tmp_path / "alone"
    sweep.hand_over(runs / "base", epath.Path(alone))
    arguments = [f"--config={tiny}:small/further", f"--workdir={alone}", "--config.seeds=0,1,2"]
    assert command.main(arguments) == 0
    assert last["further"]["step"] == 80 and log.read(alone)[-1]["mse"] == last["further"]["mse"]
    results = {
        row["row"]: row
        for row in table_runs.collect(tiny, load.load_table(str(tiny))[1], "small", runs)
    }
    assert float(results["at T=8"]["run_seconds"]) < float(results["base"]["run_seconds"])


@pytest.mark.parametrize("where", ["disk", "bucket"])
def test_a_row_is_handed_the_last_checkpoint_of_another_until_its_run_has_begun(
    where, tmp_path, monkeypatch
):
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
    with pytest.raises(
        BadInput, match="more: is done but has no checkpoint to go on from; delete its result.json"
    ):
        sweep.hand_over(runs / "more" / "more", runs / "another")
    array.write_text("cut")  # as by a kill
    (row / "run.json").unlink()
    sweep.hand_over(before, row)
    assert array.read_text() == "100"
    for begun in ("run.json", "config.json"):
        (row / "run.json").unlink(missing_ok=True)
        (row / begun).write_text("{}")
        array.write_text("trained on")
        sweep.hand_over(before, row)
        assert array.read_text() == "trained on"


def test_a_sweep_runs_the_other_rows_of_one_that_is_not_finite_and_then_ends_with_3(tiny, tmp_path):
    tiny.write_text(TINY.replace("0.001", "1e30"))
    with pytest.raises(NonFinite, match="no result of slow:") as error:
        sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=slow,fast"])
    assert error.value.code == 3 and (tmp_path / "runs" / "small" / "fast" / "result.json").exists()


def test_a_sweep_that_is_told_to_stop_ends_with_75_begins_no_other_row_and_goes_on(
    tiny, tmp_path, monkeypatch
):
    arguments, runs = [str(tiny), f"--workdir={tmp_path / 'runs'}"], tmp_path / "runs" / "small"
    monkeypatch.setattr(interruption, "requested", lambda step: step >= 20)
    with pytest.raises(Interrupted) as error:
        sweep.main(arguments)
    assert error.value.code == 75 and [run.name for run in runs.iterdir()] == ["slow"]
    assert not (runs / "slow" / "result.json").exists()
    monkeypatch.undo()
    assert sweep.main(arguments) == 0 and len(list(runs.glob("*/result.json"))) == 3


def test_a_shard_has_the_rows_that_go_on_from_its_own_and_a_scale_leaves_them_out_with_those():
    rows = (
        Row("a"),
        Row("b"),
        Row("a more", of="a"),
        Row("c"),
        Row("a most", of="a more"),
        Row("b more", of="b"),
    )
    t = Table(
        title="t",
        measure="m",
        rows=rows,
        scales={"small": Scale(""), "paper": Scale("", without=("a more",))},
    )
    shards = [sweep.chosen(t, "small", None, f"{i}/2") for i in range(2)]
    assert shards == [["a", "a more", "c", "a most"], ["b", "b more"]]
    assert sweep.chosen(t, "small", "a most", "0/1") == ["a", "a more", "a most"]
    assert t.names("paper") == ["a", "b", "c", "b more"]
    with pytest.raises(
        BadInput, match="'a most' is not run at scale 'paper'; choose from a, b, c, b more"
    ):
        t.config("a most", "paper")
    with pytest.raises(ValueError, match="before their use"):
        Table(title="t", measure="m", rows=(Row("a", of="b"), Row("b")), scales={})


def test_the_plan_is_printed_and_nothing_runs_in_a_dry_run(tiny, tmp_path, capsys):
    assert (
        sweep.main([str(tiny), "--dry_run", f"--workdir={tmp_path / 'runs'}", "--shard=1/2"]) == 0
    )
    out = capsys.readouterr().out
    assert (
        "fast " in out
        and "slow" not in out
        and "not measured yet" in out
        and not (tmp_path / "runs").exists()
    )


def test_a_shard_beyond_the_rows_says_that_it_has_none_and_ends_well(tiny, tmp_path, capsys):
    assert (
        sweep.main([str(tiny), f"--workdir={tmp_path / 'runs'}", "--rows=fast", "--shard=1/100"])
        == 0
    )
    assert "to do: nothing, as this shard has no rows" in capsys.readouterr().out
    assert (
        sweep.main(
            [
                str(tiny),
                f"--workdir={tmp_path / 'runs'}",
                "--rows=fast",
                "--shard=0/100",
                "--dry_run",
            ]
        )
        == 0
    )
    assert "no rows" not in capsys.readouterr().out


def test_a_plan_for_more_seeds_takes_as_much_longer_than_what_was_measured(tiny, tmp_path, capsys):
    line = dict(table="table", scale="small", row="slow", run_seconds=120.0, value=1, parameters=2)
    table_runs.enter(
        tiny, load.load_table(str(tiny))[1], [{**line, "seed": seed} for seed in range(2)]
    )
    sweep.main([str(tiny), "--dry_run", f"--workdir={tmp_path / 'runs'}", "--seeds=6"])
    out = capsys.readouterr().out
    assert (
        "6 seeds: about 6.0 min" in out
        and "6.0 min, as measured" in out
        and "2 rows of unknown length" in out
    )
    # then a line is of three seeds
    tiny.write_text(TINY.replace("base={", 'base={"eval.ensemble": 3, '))
    sweep.main([str(tiny), "--dry_run", f"--workdir={tmp_path / 'runs'}", "--seeds=6"])
    assert "6 seeds: about 2.0 min" in capsys.readouterr().out


def test_a_row_that_was_run_with_other_seeds_is_refused_before_any_other_runs_and_a_dry_run_says_so(
    tiny, tmp_path, capsys
):
    where = f"--workdir={tmp_path / 'runs'}"
    sweep.main([str(tiny), where, "--rows=fast", "--seeds=2"])
    for more in (["--dry_run"], []):
        with pytest.raises(
            BadInput, match=r"holds a run of another config \(seeds was \[0, 1\], is \[0, 1, 2\]\)"
        ):
            sweep.main([str(tiny), where, *more])
        lines = capsys.readouterr().out.splitlines()
        assert any("fast " in line and "refused, another config is there" in line for line in lines)
    assert [p.name for p in (tmp_path / "runs" / "small").iterdir()] == ["fast"]
    assert sweep.main([str(tiny), where, "--seeds=2", "--dry_run", "--rows=fast"]) == 0
    assert "2 seeds: done\n  to do: nothing" in capsys.readouterr().out


def test_a_row_that_is_done_is_not_started_again_and_the_results_of_all_rows_stand_together_at_the_end(
    tiny, tmp_path, capsys, monkeypatch
):
    arguments = [str(tiny), f"--workdir={tmp_path / 'runs'}"]
    sweep.main([*arguments, "--rows=fast"])
    started = []
    run = sweep.run
    monkeypatch.setattr(
        sweep,
        "run",
        lambda path, scale, name, *more: started.append(name) or run(path, scale, name, *more),
    )
    assert sweep.main([*arguments, "--rows=slow,fast"]) == 0
    assert started == ["slow"]
    *_, title, slow, fast = capsys.readouterr().out.splitlines()
    assert (
        title == "tiny; scale small:"
        and slow.split()[:2] == ["slow", "test/mse"]
        and fast.split()[0] == "fast"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scale=big"], "scale: unknown 'big'; choose from small, paper"),
        (["--rows=slow,quick"], "row: unknown 'quick'; choose from slow, fast, fastest"),
        (["--shard=2/2"], "--shard: '2/2' must be i/n"),
        (["--rows="], "--rows: is empty"),
        (["--seeds=0"], "--seeds: 0 must be from 1 to 10,000"),
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
    assert (
        sweep.main([*arguments, "--dry_run"]) == 0 and f"scale {scale}: " in capsys.readouterr().out
    )
    with pytest.raises(BadInput, match=words) as error:
        sweep.main(arguments)
    assert f"run python -m scripts.prepare_data {words.split()[0]}" in str(error.value)
    assert not list((tmp_path / "runs").rglob("*.json*"))


def test_a_file_that_is_no_table_and_a_file_that_is_not_there_are_refused():
    with pytest.raises(BadInput, match="has no TABLE"):
        sweep.main(["configs/lstm_adding.py"])
    with pytest.raises(BadInput, match="did you mean 'configs/papers/lstm1997/adding.py'"):
        sweep.main(["configs/papers/lstm1997/addin.py"])
    with pytest.raises(BadInput, match="File name too long"):
        sweep.main(["a" * 300 + ".py"])


def test_a_table_in_a_folder_with_a_colon_and_results_that_are_cut_short_are_refused(
    tiny, tmp_path
):
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "t.py").write_text(tiny.read_text())
    with pytest.raises(BadInput, match="has a colon"):
        sweep.main([str(folder / "t.py"), "--dry_run"])
    (tiny.parent / "results.csv").write_text(",".join(table_runs.COLUMNS) + "\ntiny,small,slow,0\n")
    with pytest.raises(BadInput, match=r"is damaged \(a line is cut short"):
        sweep.main([str(tiny), "--dry_run"])


def test_a_run_ends_when_every_seed_came_to_the_level_and_says_at_which_step(tmp_path):
    arguments = [
        "--config=configs/lstm_adding.py:T=4",
        f"--workdir={tmp_path / 'run'}",
        "--config.optim.steps=4000",
    ]
    arguments += [
        "--config.stop.metric=train/mse",
        "--config.stop.at_most=0.1",
        "--config.checkpoint.every=100",
    ]
    assert command.main([*arguments, "--config.model.hidden=8", "--config.data.examples=8"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    steps = table_runs.values(Until("train/mse", 0.1), tmp_path / "run", result)
    assert (
        max(steps.values()) <= result["steps"] < 4000
        and result["steps"] - max(steps.values()) < 100
    )
    with pytest.raises(
        BadInput,
        match="stop.metric: unknown 'train/errors'; choose from train/loss, train/mse, test/loss",
    ):
        command.main(["--config=configs/lstm_adding.py:T=4", "--config.stop.metric=train/errors"])
