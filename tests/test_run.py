"""Whole runs, in real processes: train, be killed, resume, be refused, show the result."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from etils import epath
from helpers import train

from train import interruption, log
from train.__main__ import main
from train.checkpoint import Checkpoints, sealed
from train.errors import Interrupted

VOWELS = (
    "--config=configs/lstm_japanese_vowels.py",
    "--config.optim.steps=120",
    "--config.eval.every=40",
    "--config.log.every=20",
    "--config.checkpoint.every=20",
    "--config.seeds=0,1",
)


def final_arrays(workdir) -> dict:
    with Checkpoints(epath.Path(workdir) / "checkpoints", keep=2) as checkpoints:
        saved = checkpoints._manager.restore(checkpoints.steps()[-1])
    return saved.state


def without_times(workdir) -> list[dict]:
    return [{k: v for k, v in record.items() if k != "examples_per_s"} for record in log.read(epath.Path(workdir))]


def wait_for_checkpoint(process, workdir, step: int) -> None:
    """Returns once the running process has a checkpoint of that step or a later one."""
    while not any(int(p.name) >= step for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()):
        assert process.poll() is None
        time.sleep(0.05)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """An uninterrupted run."""
    workdir = tmp_path_factory.mktemp("runs") / "vowels"
    done = train(*VOWELS, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir, done


def test_the_first_lines_say_what_runs_where_on_what(finished):
    workdir, done = finished
    lines = done.stdout.splitlines()
    assert lines[0].startswith("config  lstm_japanese_vowels: 120 steps of 30 examples, seeds 0, 1")
    assert lines[1].startswith("device  cpu x 2 of 2, dividing the batch")
    assert "japanese_vowels, embedded" in lines[2] and "270 train, 370 test" in lines[2]
    assert "20,297 parameters" in lines[3]  # 4 * 64 * (12 + 64 + 1) + 9 * 65
    assert lines[4] == f"run     {workdir}: starting fresh"


def test_the_result_holds_every_number_that_a_table_needs(finished):
    result = json.loads((finished[0] / "result.json").read_text())
    error = result["metrics"]["test/error"]
    assert result["metric"] == "test/error" and error["n"] == 2
    assert error["mean"] == pytest.approx(np.mean(error["per_seed"]))
    assert error["std"] == pytest.approx(np.std(error["per_seed"], ddof=1))
    assert error["mean"] < 15
    assert (result["steps"], result["seeds"], result["device"]["count"]) == (120, [0, 1], 2)
    assert result["data"]["examples"] == {"train": 270, "test": 370} and len(result["data"]["digest"]) == 64
    assert {"jax", "flax", "python"} <= result["versions"].keys() and result["seconds"] > 0


def test_the_same_command_again_shows_the_result_and_trains_nothing(finished):
    before = sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*"))
    again = train(*VOWELS, f"--workdir={finished[0]}")
    assert again.returncode == 0 and "is done" in again.stdout and "test/error" in again.stdout
    assert sorted((p, p.stat().st_mtime_ns) for p in finished[0].rglob("*")) == before


def test_eval_only_gives_the_metrics_of_the_result_and_writes_nothing(finished):
    before = sorted(p for p in finished[0].rglob("*"))
    shown = train(*VOWELS, f"--workdir={finished[0]}", "--eval_only")
    error = json.loads((finished[0] / "result.json").read_text())["metrics"]["test/error"]["per_seed"]
    assert shown.returncode == 0 and f"test/error         {log.summary(error)}" in shown.stdout
    assert sorted(p for p in finished[0].rglob("*")) == before


def test_eval_only_of_a_folder_without_a_run_exits_with_2(tmp_path):
    shown = train(*VOWELS, f"--workdir={tmp_path / 'none'}", "--eval_only")
    assert shown.returncode == 2 and shown.stderr.count("\n") == 1 and "no checkpoints" in shown.stderr
    assert not (tmp_path / "none").exists()


def test_a_changed_config_is_refused_with_the_keys_that_differ(finished):
    refused = train(*VOWELS, "--config.optim.lr=0.5", "--config.log.every=7", f"--workdir={finished[0]}")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "optim.lr was 0.005, is 0.5" in refused.stderr and "log.every" not in refused.stderr


def test_metrics_are_in_jsonl_tensorboard_and_a_picture(finished):
    records = log.read(epath.Path(finished[0]))
    assert [r["step"] for r in records if r["split"] == "test"] == [40, 80, 120]
    assert [r["step"] for r in records if r["split"] == "train"] == [20, 40, 60, 80, 100, 120]
    assert all(len(r["loss"]) == 2 for r in records)
    assert list((finished[0] / "tensorboard").glob("events*"))
    assert (finished[0] / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_config_lies_beside_the_checkpoints_and_can_be_read_back(finished):
    config = json.loads((finished[0] / "config.json").read_text())
    assert config["optim"]["steps"] == 120 and config["model"]["name"] == "sequence_readout" and config["seeds"] == [0, 1]


@pytest.mark.parametrize("kills", [(0.8, 3.0), (2.0, 4.0, 5.0)])
def test_a_run_that_is_killed_again_and_again_ends_with_the_bits_of_an_uninterrupted_one(tmp_path, finished, kills):
    """kill -9 after so many seconds of each start; then once to the end."""
    command = [sys.executable, "-m", "train", *VOWELS, f"--workdir={tmp_path}"]
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    for seconds in kills:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = train(*VOWELS, f"--workdir={tmp_path}")
    assert last.returncode == 0, last.stderr
    expected, found = final_arrays(finished[0]), final_arrays(tmp_path)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert without_times(tmp_path) == without_times(finished[0])


def test_a_run_resumes_at_its_newest_checkpoint(tmp_path):
    """Killed for certain in the middle: the process is killed once its second checkpoint is there."""
    command = [sys.executable, "-m", "train", *VOWELS, "--config.optim.steps=20000", f"--workdir={tmp_path}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_checkpoint(process, tmp_path, 40)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = next(line for line in process.stdout if line.startswith("run"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "resuming at step" in line and int(line.rsplit(" ", 1)[1].replace(",", "")) >= 40


def test_a_run_whose_newest_checkpoint_is_damaged_falls_back_says_so_and_ends_the_same(tmp_path, finished):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished[0], copy], check=True)
    (copy / "result.json").unlink()
    data = max((copy / "checkpoints" / "120" / "state").rglob("d/*"), key=lambda p: p.stat().st_size)
    contents = bytearray(data.read_bytes())
    contents[len(contents) // 2] ^= 1
    data.write_bytes(contents)
    done = train(*VOWELS, f"--workdir={copy}")
    assert done.returncode == 0, done.stderr
    assert "checkpoint 120 in" in done.stdout and "is broken" in done.stdout and "resuming at step 100" in done.stdout
    expected, found = final_arrays(finished[0]), final_arrays(copy)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_other_data_under_a_run_is_refused(tmp_path, finished):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished[0], copy], check=True)
    (copy / "result.json").unlink()
    for meta in copy.glob("checkpoints/*/meta/metadata"):
        notes = json.loads(meta.read_text())
        del notes["seal"]
        meta.write_text(json.dumps(sealed(notes | {"data": "0" + notes["data"]})))
    refused = train(*VOWELS, f"--workdir={copy}")
    assert refused.returncode == 2 and "was trained on other data" in refused.stderr


def test_training_never_imports_tensorflow_torch_or_a_plotting_library_early(tmp_path):
    program = (
        "import sys; from train.__main__ import main; main(sys.argv[1:]);"
        "print('FORBIDDEN', [m for m in ('tensorflow', 'torch', 'tensorflow_datasets', 'clu') if m in sys.modules])"
    )
    arguments = [*VOWELS, "--config.optim.steps=20", f"--workdir={tmp_path}"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert "FORBIDDEN []" in done.stdout


@pytest.mark.parametrize(("switch", "kept"), [("true", True), ("false", False)])
def test_compiled_programs_are_kept_in_the_users_cache_folder_unless_switched_off(tmp_path, switch, kept):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= dict(XDG_CACHE_HOME=str(tmp_path / "cache"), JAX_ENABLE_COMPILATION_CACHE=switch, JAX_PLATFORMS="cpu")
    command = [sys.executable, "-m", "train", *VOWELS, "--config.optim.steps=20", f"--workdir={tmp_path / 'run'}"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert any(tmp_path.glob("cache/canon/xla/*")) == kept


def test_a_workdir_that_cannot_be_made_exits_with_2_and_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    refused = train(*VOWELS, f"--workdir={tmp_path / 'file' / 'run'}")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "cannot write" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_training_ends_with_75_and_the_run_goes_on_where_it_was(tmp_path, number):
    command = [sys.executable, "-m", "train", *VOWELS, "--config.optim.steps=20000", f"--workdir={tmp_path}"]
    command += ["--config.checkpoint.every=15000", "--config.log.every=1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if line.startswith("step"))
    process.send_signal(number)
    _, errors = process.communicate()
    noticed, ended = errors.splitlines()
    assert process.returncode == 75 and noticed.startswith("python -m train: interrupted; saving a checkpoint")
    step = int(ended.partition("interrupted at step ")[2].partition(";")[0].replace(",", ""))
    assert 0 < step < 15000 and final_arrays(tmp_path)["step"].tolist() == [step, step]


def test_a_signal_before_training_ends_with_75_at_once_and_writes_nothing(tmp_path):
    command = [sys.executable, "-m", "train", *VOWELS, f"--workdir={tmp_path / 'run'}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)  # it is importing
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate()
    assert (process.returncode, out) == (75, "")
    assert errors == "python -m train: interrupted; the same command goes on\n"
    assert not (tmp_path / "run").exists()


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    command = [sys.executable, "-m", "train", *VOWELS, f"--workdir={tmp_path}", "--config.optim.steps=200000"]
    command += ["--config.steps_per_dispatch=100000"]  # a dispatch of minutes
    command += [f"--config.{what}.every=100000" for what in ("checkpoint", "eval", "log")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if line.startswith("run"))
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again ends at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130 and "ended at once" in process.stderr.readline()


def test_a_run_that_is_interrupted_at_every_turn_ends_with_the_bits_and_records_of_an_uninterrupted_one(tmp_path, monkeypatch):
    command = [*VOWELS, "--config.optim.steps=60", "--config.checkpoint.every=50", "--config.steps_per_dispatch=10"]
    main([*command, f"--workdir={tmp_path / 'whole'}"])
    steps, resumed = [], [0]

    def requested(step: int) -> bool:
        if resumed[0] < step < 60:
            steps.append(step)
            resumed[0] = step
            return True
        return False

    monkeypatch.setattr(interruption, "requested", requested)
    while resumed[0] < 50:
        with pytest.raises(Interrupted, match=f"at step {resumed[0] + 10};"):
            main([*command, f"--workdir={tmp_path / 'parts'}"])
    main([*command, f"--workdir={tmp_path / 'parts'}"])
    assert steps == [10, 20, 30, 40, 50]
    expected, found = final_arrays(tmp_path / "whole"), final_arrays(tmp_path / "parts")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


def test_an_interruption_within_an_evaluation_is_heard_before_it_is_over_and_the_run_ends_with_the_same_bits(
    tmp_path, monkeypatch
):
    command = [*VOWELS, "--config.optim.steps=60", "--config.eval.batch_size=10", "--config.steps_per_dispatch=10"]
    main([*command, f"--workdir={tmp_path / 'whole'}"])
    asked = []

    def requested(step: int) -> bool:
        asked.append(step)
        return step == 40 and asked.count(40) > 3  # once before the evaluation, then before each of its four dispatches

    monkeypatch.setattr(interruption, "requested", requested)
    with pytest.raises(Interrupted, match="at step 40;"):
        main([*command, f"--workdir={tmp_path / 'parts'}"])
    assert asked.count(40) == 5  # and once more, to save
    assert not any(record["split"] == "test" for record in log.read(epath.Path(tmp_path / "parts")))
    monkeypatch.undo()
    main([*command, f"--workdir={tmp_path / 'parts'}"])
    expected, found = final_arrays(tmp_path / "whole"), final_arrays(tmp_path / "parts")
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert without_times(tmp_path / "parts") == without_times(tmp_path / "whole")


def test_a_run_with_ensembles_ends_with_the_results_of_these_and_eval_only_gives_them_again(tmp_path, capsys):
    command = [*VOWELS, "--config.seeds=0,1,2,3", "--config.eval.ensemble=2", "--config.optim.steps=40"]
    command += [f"--workdir={tmp_path / 'x'}"]
    assert main(command) == 0
    errors = json.loads((tmp_path / "x" / "result.json").read_text())["metrics"]["test/error"]["per_seed"]
    assert len(errors) == 2
    capsys.readouterr()
    assert main([*command, "--eval_only"]) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("test/error"))
    assert log.summary(errors) in shown


def test_a_typo_exits_with_2_and_one_line_and_no_workdir(tmp_path):
    refused = train(VOWELS[0], "--config.optim.lrr=1", f"--workdir={tmp_path / 'x'}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "python -m train: unknown key 'optim.lrr'; did you mean 'optim.lr'?\n"
    assert not (tmp_path / "x").exists()


def test_a_second_run_in_a_workdir_where_one_is_going_is_refused_and_the_first_goes_on(tmp_path):
    command = [sys.executable, "-m", "train", *VOWELS, f"--workdir={tmp_path}", "--config.optim.steps=100000"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "metrics.jsonl").exists() or not (tmp_path / "metrics.jsonl").read_text():
            assert first.poll() is None
            time.sleep(0.1)
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert second.returncode == 2 and "another process is training in" in second.stderr and first.poll() is None
    finally:
        first.kill()
        first.wait()
