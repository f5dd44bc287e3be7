"""scripts/slurm.sh under a real Slurm: what its time limit, scancel, a preemption and a requeue do
to the tasks of an array."""

import pathlib
import re
import sys
import time

import pytest
from services.slurm import slurm

from configs import load

pytestmark = pytest.mark.full
LAUNCHER = pathlib.Path(load.ROOT) / "scripts" / "slurm.sh"
SWEEP = """#!/bin/bash
trap 'echo told; sleep 0.5; exit 75' TERM
echo "begun ${SLURM_RESTART_COUNT:-0}"
[ "${SLURM_RESTART_COUNT:-0}" -ge 1 ] || for k in $(seq 1000); do sleep 0.1; done
"""  # it trains until it is told to stop, and is done when it runs again


@pytest.fixture(scope="module")
def service():
    with slurm() as service:
        yield service


@pytest.fixture
def submit(service, tmp_path):
    """Submits an array of two tasks, with or without a sweep that only waits; returns its number
    once both run."""
    stub = tmp_path / "stub" / "bin" / "python"
    stub.parent.mkdir(parents=True)
    stub.write_text(SWEEP)
    stub.chmod(0o755)

    def submit(*flags, sweep=("table.py", "--workdir=x"), venv=tmp_path / "stub"):
        output = f"--output={tmp_path}/%A_%a.log"
        job = service.run(
            *("sbatch", "--parsable", "--array=0-1", f"--chdir={load.ROOT}", output),
            *(*flags, LAUNCHER, *sweep),
            VENV=str(venv),
        )
        for task in "01":
            service.wait_for(job, task, "RUNNING")
            while not said(tmp_path, job, task):
                time.sleep(0.1)
        return job

    yield submit
    service.clear()


def said(folder, job: str, task: str) -> str:
    file = folder / f"{job}_{task}.log"
    return file.read_text() if file.exists() else ""


def test_a_task_whose_time_is_up_is_queued_again_and_only_that_one(service, submit, tmp_path):
    for task in "01":  # of these one has the job id of the whole array
        job = submit()
        service.run("scancel", "--batch", "--signal=USR1", f"{job}_{task}")
        known = service.wait_for(job, task, "COMPLETED")
        assert known["Restarts"] == "1"
        assert re.fullmatch("(?s)begun 0\ntold\n.*begun 1\n", said(tmp_path, job, task))
        other = service.tasks(job)[str(1 - int(task))]
        assert (other["JobState"], other["Restarts"]) == ("RUNNING", "0")
        service.clear()


def test_slurm_tells_a_task_that_its_time_is_nearly_up(service, submit):
    job = submit("--time=1", "--signal=B:USR1@45")  # the script's own signal, sooner
    for task in "01":
        known = service.wait_for(job, task, "COMPLETED", "TIMEOUT", "FAILED")
        assert (known["JobState"], known["Restarts"]) == ("COMPLETED", "1")


def test_a_cancelled_task_saves_and_stays_cancelled_and_the_others_run(service, submit, tmp_path):
    job = submit()
    service.run("scancel", f"{job}_0")
    service.wait_for(job, "0", "CANCELLED")
    time.sleep(3)  # a task that queues itself again is pending within a second
    tasks = service.tasks(job)
    assert (tasks["0"]["JobState"], tasks["0"]["Restarts"]) == ("CANCELLED", "0")
    assert tasks["1"]["JobState"] == "RUNNING"
    service.run("scancel", job)
    service.wait_for(job, "1", "CANCELLED")
    time.sleep(3)
    assert {t["JobState"] for t in service.tasks(job).values()} == {"CANCELLED"}
    for task in "01":
        assert "told" in said(tmp_path, job, task) and "begun 1" not in said(tmp_path, job, task)


@pytest.mark.parametrize("partition", ["main", "patient"])  # without and with time to end by itself
def test_a_preempted_task_saves_and_is_queued_again_by_slurm(service, submit, tmp_path, partition):
    job = submit(f"--partition={partition}")
    urgent = ("--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1")
    service.run("sbatch", "--parsable", *urgent)
    for task in "01":
        known = service.wait_for(job, task, "COMPLETED", "FAILED", "CANCELLED")
        assert (known["JobState"], known["Restarts"]) == ("COMPLETED", "1")
        assert "told" in said(tmp_path, job, task)


def test_a_real_sweep_that_is_queued_again_resumes_and_finishes_its_rows(
    service, submit, tiny, tmp_path
):
    tiny.write_text(tiny.read_text().replace('"optim.steps": 60', '"optim.steps": 600'))
    runs = tmp_path / "runs"
    job = submit(
        sweep=(tiny, f"--workdir={runs}", "--rows=slow,fast", "--seeds=1"), venv=sys.prefix
    )
    checkpoints = runs / "small" / "slow" / "checkpoints"
    while not [p for p in checkpoints.glob("*") if p.name.isdigit()]:
        assert service.tasks(job)["0"]["JobState"] == "RUNNING", said(tmp_path, job, "0")
        time.sleep(0.1)
    service.run("scancel", "--batch", "--signal=USR1", f"{job}_0")
    for task, row in (("0", "slow"), ("1", "fast")):
        known = service.wait_for(job, task, "COMPLETED", "FAILED", seconds=300)
        assert known["JobState"] == "COMPLETED", said(tmp_path, job, task)
        assert (runs / "small" / row / "result.json").exists()
    assert service.tasks(job)["0"]["Restarts"] == "1"
    assert "resuming at step" in said(tmp_path, job, "0")
