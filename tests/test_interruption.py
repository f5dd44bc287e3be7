"""Runs that are killed, told to stop or damaged, in real processes, and go on to the ends of
uninterrupted ones."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from etils import epath
from helpers import VOWELS, flip_bits, train

from train import interruption, log, loop, report
from train.__main__ import main
from train.checkpoint import Checkpoints
from train.errors import Interrupted, NotWritten
from train.parallel import Program


def final_arrays(workdir) -> dict:
    with Checkpoints(epath.Path(workdir) / "checkpoints", keep=2) as checkpoints:
        saved = checkpoints._manager.restore(checkpoints.steps()[-1])
    return saved.state


def without_times(workdir) -> list[dict]:
    return [
        {k: v for k, v in record.items() if k != "examples_per_s"}
        for record in log.read(epath.Path(workdir))
    ]


def wait_for_checkpoint(process, workdir, step: int) -> None:
    """Returns once the running process has a checkpoint of that step or a later one."""
    while not any(
        int(p.name) >= step for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()
    ):
        assert process.poll() is None
        time.sleep(0.05)


def test_a_run_resumes_at_its_newest_checkpoint(tmp_path):
    """Killed for certain in the middle: the process is killed once its second checkpoint is
    there."""
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        "--config.optim.steps=20000",
        f"--workdir={tmp_path}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_checkpoint(process, tmp_path, 40)
    process.send_signal(signal.SIGKILL)
    process.wait()
    newest = max(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = next(line for line in process.stdout if line.startswith("run"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (
        "resuming at step" in line and int(line.rsplit(" ", 1)[1].replace(",", "")) == newest >= 40
    )


def test_a_run_whose_newest_checkpoint_is_damaged_falls_back_says_so_and_ends_the_same(
    tmp_path, finished
):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", finished[0], copy], check=True)
    (copy / "result.json").unlink()
    flip_bits(copy / "checkpoints" / "120")
    done = train(*VOWELS, f"--workdir={copy}")
    assert done.returncode == 0, done.stderr
    assert (
        "checkpoint 120 in" in done.stdout
        and "is broken" in done.stdout
        and "resuming at step 100" in done.stdout
    )
    expected, found = final_arrays(finished[0]), final_arrays(copy)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_training_ends_with_75_and_the_run_goes_on_where_it_was(tmp_path, number):
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        "--config.optim.steps=20000",
        f"--workdir={tmp_path}",
    ]
    command += ["--config.checkpoint.every=15000", "--config.log.every=1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if line.startswith("step"))
    process.send_signal(number)
    _, errors = process.communicate()
    noticed, ended = errors.splitlines()
    assert process.returncode == 75 and noticed.startswith(
        "python -m train: interrupted; saving a checkpoint"
    )
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
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        f"--workdir={tmp_path}",
        "--config.optim.steps=200000",
    ]
    command += ["--config.steps_per_dispatch=100000"]  # a dispatch of minutes
    command += [f"--config.{what}.every=100000" for what in ("checkpoint", "eval", "log")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        next(line for line in process.stdout if line.startswith("run"))
        process.send_signal(signal.SIGINT)
        # XLA may have said something before
        next(line for line in process.stderr if "Ctrl-C again ends at once" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130 and "ended at once" in process.stderr.read()
    finally:
        process.kill()


def test_a_run_that_is_interrupted_at_every_turn_ends_with_the_bits_and_records_of_an_uninterrupted_one(
    tmp_path, monkeypatch
):
    command = [
        *VOWELS,
        "--config.optim.steps=60",
        "--config.checkpoint.every=50",
        "--config.steps_per_dispatch=10",
    ]
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


def test_an_interrupted_run_keeps_the_checkpoints_that_an_uninterrupted_one_keeps(
    tmp_path, monkeypatch
):
    command = [
        *VOWELS,
        "--config.optim.steps=120",
        "--config.eval.every=20",
        "--config.checkpoint.keep=1",
    ]
    main([*command, f"--workdir={tmp_path / 'whole'}"])
    interrupted = []

    def requested(step: int) -> bool:
        return step in (20, 60, 100) and step not in interrupted and not interrupted.append(step)

    monkeypatch.setattr(interruption, "requested", requested)
    for _ in range(3):
        with pytest.raises(Interrupted):
            main([*command, f"--workdir={tmp_path / 'parts'}"])
    main([*command, f"--workdir={tmp_path / 'parts'}"])
    whole, parts = (
        {path.name for path in (tmp_path / run / "checkpoints").iterdir()}
        for run in ("whole", "parts")
    )
    assert parts == whole and len(whole) == 2  # the last, and the best, which is another one


def test_a_record_of_an_evaluation_stays_where_a_resumed_run_makes_it_no_more(
    tmp_path, monkeypatch
):
    command = [
        *VOWELS,
        "--config.optim.steps=60",
        "--config.checkpoint.every=25",
        f"--workdir={tmp_path}",
    ]
    train_steps = Program.train

    def killed(self, carry, step, *arguments):
        if step == 50:  # evaluated and saved
            raise KeyboardInterrupt
        return train_steps(self, carry, step, *arguments)

    monkeypatch.setattr(Program, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        main([*command, "--config.eval.every=25"])
    monkeypatch.undo()
    main([*command, "--config.eval.every=40"])
    assert [
        record["step"] for record in log.read(epath.Path(tmp_path)) if record["split"] == "test"
    ] == [25, 50, 60]


def test_the_speed_in_the_log_is_that_of_training_alone_whatever_is_evaluated_and_saved_between(
    tmp_path, monkeypatch
):
    clock, train_steps, evaluate, save = [0.0], Program.train, loop.evaluate, Checkpoints.save

    def taking(seconds, function):
        def timed(*arguments, **options):
            clock[0] += seconds(arguments)
            return function(*arguments, **options)

        return timed

    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock[0])
    # a step takes a second
    monkeypatch.setattr(Program, "train", taking(lambda arguments: arguments[3], train_steps))
    monkeypatch.setattr(loop, "evaluate", taking(lambda _: 1000.0, evaluate))
    monkeypatch.setattr(Checkpoints, "save", taking(lambda _: 500.0, save))
    stops = iter([60])
    monkeypatch.setattr(
        interruption, "requested", lambda step: step == 60 and next(stops, None) == 60
    )
    command = [
        *VOWELS,
        "--config.optim.steps=120",
        "--config.log.every=40",
        "--config.eval.every=20",
    ]
    # so each record is read before the next dispatch
    command += ["--config.checkpoint.every=40", f"--workdir={tmp_path}"]
    with pytest.raises(Interrupted):
        main(command)
    main(command)
    speeds = [
        record["examples_per_s"]
        for record in log.read(epath.Path(tmp_path))
        if record["split"] == "train"
    ]
    assert speeds == [60.0] * 3  # 30 utterances a second, of each of two seeds


def test_an_interruption_within_an_evaluation_is_heard_before_it_is_over_and_the_run_ends_with_the_same_bits(
    tmp_path, monkeypatch
):
    command = [
        *VOWELS,
        "--config.optim.steps=60",
        "--config.eval.batch_size=10",
        "--config.steps_per_dispatch=10",
    ]
    main([*command, f"--workdir={tmp_path / 'whole'}"])
    asked = []

    def requested(step: int) -> bool:
        asked.append(step)
        # once before the evaluation, then before each of its four dispatches
        return step == 40 and asked.count(40) > 3

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


def test_a_signal_is_heard_also_where_nobody_reads_what_is_said_of_it():
    wait = (
        "import time; from train import interruption; interruption.listen('a command'); "
        "print('on', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", wait], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 75


def test_a_disk_that_is_full_once_training_is_done_ends_with_one_line_and_the_same_command_goes_on(
    tmp_path, monkeypatch
):
    def full(records):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    command = [*VOWELS, "--config.optim.steps=20", f"--workdir={tmp_path}"]
    monkeypatch.setattr(report, "curves", full)
    with pytest.raises(
        NotWritten,
        match="cannot write in .*No space left on device.*; the newest checkpoint is as it was",
    ):
        main(command)
    monkeypatch.undo()
    assert main(command) == 0 and (tmp_path / "result.json").exists()


def test_a_run_whose_output_nobody_reads_any_more_ends_with_141_and_the_same_command_goes_on(
    tmp_path,
):
    command = [
        sys.executable,
        "-m",
        "train",
        *VOWELS,
        "--config.optim.steps=20000",
        f"--workdir={tmp_path}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if line.startswith("step"))
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", 141)
    # then it is noticed at the end
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [*command, "--eval_only"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=buffered,
    )
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", 141)
    whole = subprocess.run([*command, "--eval_only"], capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
