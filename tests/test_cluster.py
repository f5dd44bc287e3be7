"""scripts/slurm.sh without a Slurm and scripts/ssh_sweep.sh without hosts: what they run, and how
they end."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

SCRIPTS = pathlib.Path(__file__).parent.parent / "scripts"
SWEEP = ("configs/papers/a b.py", "--scale=it's", "--workdir=/shared/x")
PYTHON = """#!/bin/bash
printf '%s\\n' "$PWD" "$@" >"$TOLD.$HOST"
trap 'sleep 0.2; exit ${AT_TERM:-75}' TERM
echo ready
for k in $(seq ${WAIT:-0}); do sleep 0.1; done
exit ${CODE:-0}
"""
SSH = """#!/bin/bash
printf '%s\\n' "$@" >"$TOLD.ssh"
[ "$1" = -tt ] && shift
while [ "$1" = -o ]; do shift 2; done
export HOST=${1//[^A-Za-z0-9]/_}
eval "CODE=\\${CODE_$HOST:-0}" && export CODE && cd "$FAKE_HOME" && exec sh -c "$2"
"""
SCONTROL = """#!/bin/sh
echo "$@" >"$REQUEUED"
"""


@pytest.fixture
def place(tmp_path):
    """A repository with a python that notes what it is told, and stubs of ssh and scontrol; and the
    environment for them."""
    for name, text in (
        ("canon/.venv/bin/python", PYTHON),
        ("bin/ssh", SSH),
        ("bin/scontrol", SCONTROL),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "canon" / "scripts").mkdir()
    for name in ("slurm.sh", "ssh_sweep.sh", "sweep.py"):
        shutil.copy(SCRIPTS / name, tmp_path / "canon" / "scripts")
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("SLURM") and key != "VENV"
    }
    own = dict(
        PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin",
        FAKE_HOME=str(tmp_path),
        TOLD=str(tmp_path / "told"),
        HOST="",
    )
    return tmp_path, inherited | own | dict(REQUEUED=str(tmp_path / "requeued"))


TASK = dict(  # the last task of an array: its own job id is the array's too
    SLURM_ARRAY_JOB_ID="4711",
    SLURM_ARRAY_TASK_ID="3",
    SLURM_ARRAY_TASK_COUNT="8",
    SLURM_JOB_ID="4711",
)


def slurm(place, *arguments, **variables):
    folder, environment = place
    command = ["bash", "scripts/slurm.sh", *arguments]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=folder / "canon", env=environment | variables, **pipes)


def test_a_task_of_an_array_job_runs_its_shard_and_ends_with_the_code_of_the_sweep(place):
    folder, _ = place
    for code in (0, 2):
        job = slurm(place, *SWEEP, **TASK, CODE=str(code))
        assert (job.communicate()[1], job.returncode) == ("", code)
        assert (folder / "told.").read_text().splitlines()[1:] == [
            "-m",
            "scripts.sweep",
            *SWEEP,
            "--shard=3/8",
        ]
    assert not (folder / "requeued").exists()
    slurm(place, *SWEEP, **TASK | {"SLURM_ARRAY_TASK_COUNT": "1"}, SHARDS="5").wait()
    assert (folder / "told.").read_text().splitlines()[-1] == "--shard=3/5"


@pytest.mark.parametrize(
    ("signals", "at_term", "requeued"),
    [
        ((signal.SIGUSR1,), 75, True),  # its time is up
        ((signal.SIGUSR1,), 143, True),  # the sweep was still starting
        ((signal.SIGUSR1,), 0, False),
        ((signal.SIGUSR1,), 1, False),
        ((signal.SIGTERM,), 75, False),  # cancelled, or preempted: then Slurm queues it again
        ((signal.SIGUSR1, signal.SIGTERM), 75, False),  # cancelled while it saves
    ],
)
def test_a_task_is_queued_again_by_its_own_name_where_its_time_is_up_and_work_is_left(
    place, signals, at_term, requeued
):
    folder, _ = place
    job = slurm(place, *SWEEP, **TASK, WAIT="600", AT_TERM=str(at_term))
    assert job.stdout.readline() == "ready\n"
    for number in signals:
        job.send_signal(number)
        time.sleep(0.05)
    assert job.wait() == at_term
    assert (folder / "requeued").exists() == requeued
    if requeued:
        assert (folder / "requeued").read_text() == "requeue 4711_3\n"


def test_a_sweep_that_somebody_else_interrupts_is_not_queued_again(place):
    assert slurm(place, *SWEEP, **TASK, CODE="75").wait() == 75
    assert not (place[0] / "requeued").exists()


def test_a_task_that_cannot_be_queued_again_says_so_and_keeps_its_code(place):
    (place[0] / "bin" / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    job = slurm(place, *SWEEP, **TASK, WAIT="600")
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGUSR1)
    error = job.communicate()[1]
    assert job.returncode == 75 and "task 4711_3 is not queued again" in error


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (SWEEP, {}, "no array job; sbatch --array=0-7"),
        (SWEEP[:2], TASK, "--workdir is missing"),
        ((*SWEEP, "--shard=0/2"), TASK, "--shard is this script's own"),
        (SWEEP, TASK | {"SLURM_ARRAY_TASK_COUNT": "3"}, "task 3 of 3; --array counts from 0"),
    ],
)
def test_a_job_that_cannot_work_is_refused_in_one_line(place, arguments, variables, words):
    job = slurm(place, *arguments, **variables)
    error = job.communicate()[1]
    assert (
        job.returncode == 2
        and error.startswith(f"scripts/slurm.sh: {words}")
        and error.count("\n") == 1
    )


# plain ssh


def ssh(place, *arguments, **variables):
    folder, environment = place
    command = [folder / "canon" / "scripts" / "ssh_sweep.sh", *arguments]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=environment | variables, **pipes)


def test_each_host_sweeps_its_shard_in_the_folder_of_its_repository(place):
    folder, _ = place
    shutil.copytree(folder / "canon", folder / "my work")
    run = ssh(place, "--dir=my work", "a", "b", "c", "--", *SWEEP)
    out, error = run.communicate()
    assert (run.returncode, error, sorted(out.splitlines())) == (
        0,
        "",
        ["a: ready", "b: ready", "c: ready"],
    )
    for i, host in enumerate("abc"):
        told = (folder / f"told.{host}").read_text().splitlines()
        assert told == [
            str(folder / "my work"),
            "-u",
            "-m",
            "scripts.sweep",
            *SWEEP,
            f"--shard={i}/3",
        ]


@pytest.mark.parametrize("host", ["ssh://me@a:2222", "me@a", "a&b", "a'b", r"a\\b", "fe80::1%eth0"])
def test_a_hosts_name_stands_in_front_of_its_lines_as_it_was_given(place, host):
    out, error = ssh(place, host, "--", *SWEEP).communicate()
    assert (out, error) == (f"{host}: ready\n", "")


def test_a_silent_host_is_given_up(place):
    ssh(place, "a", "--", *SWEEP).wait()
    told = (place[0] / "told.ssh").read_text()
    assert "ConnectTimeout=" in told and "ServerAliveInterval=" in told


def test_a_host_that_cannot_be_reached_is_said_to_be_so(place):
    error = ssh(place, "a", "--", *SWEEP, CODE_a="255").communicate()[1]
    assert (
        error
        == "scripts/ssh_sweep.sh: a could not be reached, or was lost; the same command resumes\n"
    )


def test_the_code_is_the_largest_of_a_hosts_and_each_that_failed_is_named(place):
    run = ssh(place, "a", "b", "c", "--", *SWEEP, CODE_a="75", CODE_c="2")
    error = run.communicate()[1]
    assert (
        run.returncode == 75
        and "a ended with 75" in error
        and "c ended with 2" in error
        and "b ended" not in error
    )


def test_ctrl_c_ends_ssh_on_all_hosts(place):
    run = ssh(place, "a", "b", "--", *SWEEP, WAIT="50")
    assert sorted(run.stdout.readline() for _ in range(2)) == ["a: ready\n", "b: ready\n"]
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--", *SWEEP), "no host"),
        (("a", "b"), "no table"),
        (("a", "--"), "no table"),
        (("a", "--scale=x", "--", *SWEEP), "unknown flag '--scale=x'"),
        (("a", "--", "t.py"), "--workdir is missing"),
        (("a", "--", *SWEEP, "--shard=0/2"), "--shard is this script's own"),
    ],
)
def test_a_wrong_call_is_one_line_and_no_host_is_asked(place, arguments, words):
    run = ssh(place, *arguments)
    error = run.communicate()[1]
    assert (
        run.returncode == 2
        and error.startswith(f"scripts/ssh_sweep.sh: {words}")
        and error.count("\n") == 1
    )
    assert not list(place[0].glob("told.*"))
