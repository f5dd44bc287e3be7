"""scripts/tpu.sh with a cloud in a folder: what it asks for, what it lives through, when it gives
up."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
WHICH = ("--name=canon", "--zone=us-west4-a")
TRAIN = (
    "--",
    "python",
    "-m",
    "train",
    "--config=configs/x.py:paper/SGD at T=20",
    "--workdir=gs://b/it's/",
    "--config.seeds=0",
)
BABYSIT = ("babysit", *WHICH, "--type=v5e-16", "--every=0")
CREATE = [
    *(
        "compute",
        "tpus",
        "queued-resources",
        "create",
        "canon",
        "--zone=us-west4-a",
        "--node-id=canon",
    ),
    *("--accelerator-type=v5litepod-16", "--runtime-version=v2-alpha-tpuv5-lite", "--spot"),
]


class Cloud:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "cloud"
        self.folder.mkdir()
        gcloud = folder / "bin" / "gcloud"
        gcloud.parent.mkdir()
        gcloud.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -S "{ROOT / "tests" / "fake_gcloud.py"}" "$@"\n'
        )
        gcloud.chmod(0o755)
        self.environment = os.environ | {
            "CLOUD": str(self.folder),
            "PATH": f"{gcloud.parent}:/usr/bin:/bin",
        }
        self.repository = folder / "repository"  # a small one: hosts get what is committed
        (self.repository / "scripts").mkdir(parents=True)
        for name in ("tpu.sh", "tpu_host.sh"):
            shutil.copy(ROOT / "scripts" / name, self.repository / "scripts")
        for words in (["init"], ["add", "."], ["commit", "-m", "all"]):
            who = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(
                ["git", "-C", self.repository, *who, *words], check=True, capture_output=True
            )

    def write(self, **files):
        for name, text in files.items():
            (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def tpu(self, *arguments):
        command = [self.repository / "scripts" / "tpu.sh", *arguments]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300
        )

    def calls(self, *beginning: str) -> list[list[str]]:
        path = self.folder / "calls"
        calls = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        return [call for call in calls if call[: len(beginning)] == list(beginning)]

    def count(self, verb: str) -> int:
        return len(self.calls("compute", "tpus", "queued-resources", verb))


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(tmp_path)
    yield cloud
    if (cloud.folder / "tpu").exists():
        cloud.tpu("delete", *WHICH)  # ends what still runs


def test_an_undisturbed_babysitter_calls_what_a_dry_run_printed_and_gives_the_tpu_back(cloud):
    dry = cloud.tpu(*BABYSIT, "--dry_run", *TRAIN)
    assert (dry.returncode, dry.stderr, cloud.calls()) == (0, "", [])
    cloud.write(outcomes="0\n")
    real = cloud.tpu(*BABYSIT, *TRAIN)
    assert real.returncode == 0 and "done: python -m train" in real.stderr
    printed = [shlex.split(line) for line in dry.stdout.splitlines()]
    assert all(line[0] == "gcloud" for line in printed) and ["gcloud", *CREATE] in printed
    distinct = [
        [list(call) for call in dict.fromkeys(map(tuple, calls))]
        for calls in (cloud.calls(), (c[1:] for c in printed))
    ]
    assert distinct[0] == distinct[1]  # it may look more often
    assert not (cloud.folder / "tpu").exists() and (cloud.folder / "gs/b/it's/result.json").exists()
    assert cloud.read("arguments").splitlines() == list(TRAIN[2:])
    asked = cloud.count("create")
    again = cloud.tpu(*BABYSIT, *TRAIN)
    assert (
        again.returncode == 0
        and "gs://b/it's/result.json is there" in again.stderr
        and cloud.count("create") == asked
    )


def test_a_sweep_that_is_done_asks_for_no_tpu_again_unless_its_command_or_the_commit_is_another(
    cloud,
):
    sweep = ("--", "python", "-m", "scripts.sweep", "configs/x.py", "--workdir=gs://b/x")
    cloud.write(outcomes="0\n" * 3)
    assert cloud.tpu(*BABYSIT, "--dry_run", *sweep).stdout.count(" - gs://b/x/done-") == 1
    assert cloud.tpu(*BABYSIT, *sweep).returncode == 0
    again = cloud.tpu(*BABYSIT, *sweep)
    assert (
        again.returncode == 0
        and "done before: gs://b/x/done-" in again.stderr
        and cloud.count("create") == 1
    )
    assert cloud.tpu(*BABYSIT, *sweep, "--seeds=9").returncode == 0 and cloud.count("create") == 2
    commit = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "commit",
        "--allow-empty",
        "-m",
        "more rows",
    ]
    subprocess.run(["git", "-C", cloud.repository, *commit], check=True, capture_output=True)
    assert cloud.tpu(*BABYSIT, *sweep).returncode == 0 and cloud.count("create") == 3


def test_a_tpu_that_somebody_deletes_is_not_asked_for_again(cloud):
    cloud.write(outcomes="wait\n")
    babysitter = subprocess.Popen(
        [cloud.repository / "scripts" / "tpu.sh", *BABYSIT, *TRAIN],
        env=cloud.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "running" not in (line := babysitter.stderr.readline()):
        assert line, "it ended"
    assert cloud.tpu("delete", *WHICH).returncode == 0
    error = babysitter.communicate(timeout=120)[1]
    assert babysitter.returncode == 75 and "canon was deleted, and not by this babysitter" in error
    assert cloud.count("create") == 1


def test_a_host_that_is_silent_is_given_up_by_ssh(cloud):
    calls = cloud.tpu("status", *WHICH, "--dry_run").stdout
    assert "ConnectTimeout=" in calls and "ServerAliveInterval=" in calls


def test_a_run_is_done_through_failing_creates_a_queue_preemptions_crashes_and_silence(cloud):
    cloud.write(fails="2\n", states="WAITING_FOR_RESOURCES\nPROVISIONING\n", silent="2\n")
    cloud.write(outcomes="preempt\n134\n75\n134\n134\npreempt\n134\n0\n")
    done = cloud.tpu(*BABYSIT, "--retries=2", "--data=gs://b/tfds", *TRAIN)
    assert done.returncode == 0, done.stderr
    assert cloud.count("create") == 2 + 3 and cloud.count("delete") == 3
    assert len(cloud.read("starts").split()) == 8
    # each TPU has hosts of its own
    assert cloud.read("installs").count("uv venv --quiet --python 3.12 .venv") == 3 * 2
    assert cloud.read("installs").count("-c constraints.txt -e .[tpu,gcs]") == 3 * 2
    assert cloud.read("data") == "cifar10\n"


def test_creating_is_retried_as_often_as_told_and_no_more(cloud):
    cloud.write(fails="99\n")
    done = cloud.tpu(*BABYSIT, "--retries=3", *TRAIN)
    assert (done.returncode, cloud.count("create")) == (1, 4)
    assert done.stderr.splitlines()[-1].endswith(
        "no TPU could be asked for; giving up after 3 retries"
    )


@pytest.mark.parametrize(("code", "keep"), [(2, False), (3, True)])
def test_bad_input_and_numbers_that_are_not_finite_stop_the_babysitter_with_their_code_and_last_words(
    cloud, code, keep
):
    cloud.write(outcomes=f"75\n{code}\n")
    done = cloud.tpu(*BABYSIT, *["--keep"] * keep, *TRAIN)
    assert done.returncode == code and f"COMMAND ended with {code}" in done.stderr
    assert f"host0: {code}\n" in done.stdout and (cloud.folder / "tpu").exists() == keep


def test_a_command_that_crashes_again_and_again_is_given_up(cloud):
    cloud.write(outcomes="1\n" * 9)
    done = cloud.tpu(*BABYSIT, "--retries=2", *TRAIN)
    assert (
        done.returncode == 1 and "COMMAND ended with 1, 3 times in a row: giving up" in done.stderr
    )
    assert len(cloud.read("starts").split()) == 3 and not (cloud.folder / "tpu").exists()


def test_hosts_that_never_answer_are_replaced_and_then_given_up(cloud):
    cloud.write(silent="99\n")
    done = cloud.tpu(*BABYSIT, "--retries=1", *TRAIN)
    assert (
        done.returncode == 1 and cloud.count("create") == 2 and not (cloud.folder / "tpu").exists()
    )


def test_each_step_by_hand(cloud):
    cloud.write(outcomes="wait\nwait\n", states="PROVISIONING\n")
    assert cloud.tpu("status", *WHICH).stdout == "canon: MISSING\n"
    assert (
        cloud.tpu(
            "create",
            *WHICH,
            "--type=v6e-8",
            "--on_demand",
            "--create_flag=--network=n",
            "--every=0",
        ).returncode
        == 0
    )
    create = cloud.calls("compute", "tpus", "queued-resources", "create")[0]
    assert create[-3:] == [
        "--accelerator-type=v6e-8",
        "--runtime-version=v2-alpha-tpuv6e",
        "--network=n",
    ]
    assert cloud.tpu("status", *WHICH).stdout == "canon: ACTIVE\nbare\nbare\n"
    assert cloud.tpu("setup", *WHICH).returncode == 0
    assert cloud.tpu("status", *WHICH).stdout == "canon: ACTIVE\nidle\nidle\n"
    assert cloud.tpu("run", *WHICH, *TRAIN).returncode == 0
    assert cloud.tpu("status", *WHICH).stdout == "canon: ACTIVE\nrunning\nrunning\n"
    assert cloud.tpu("run", *WHICH, *TRAIN).stdout == "canon: already running\n" * 2
    assert cloud.tpu("logs", *WHICH, "--worker=1", "--lines=1").stdout == "host1: wait\n"
    assert cloud.tpu("delete", *WHICH).returncode == 0
    assert cloud.tpu("create", *WHICH, "--type=v6e-8", "--every=0", "--project=p").returncode == 0
    assert all(call[-1] == "--project=p" for call in cloud.calls()[-2:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "unknown action ''; choose from create, setup, run, status, logs, delete, babysit"),
        (("creat", *WHICH), "unknown action 'creat'"),
        (("status", "--zone=z"), "--name is missing"),
        (("status", "--name=n"), "--zone is missing"),
        (("status", *WHICH, "--nome=n"), "unknown flag '--nome=n'"),
        (("status", *WHICH, "--name="), "unknown flag '--name='"),
        (
            ("status", *WHICH, "--type=v5e-8"),
            "--type is no flag of status; it has --name --zone --project --dry_run",
        ),
        (("create", *WHICH), "--type is missing"),
        (
            ("create", *WHICH, "--type=tpu7x-8"),
            "--type: unknown 'tpu7x-8'; choose from v2, v3, v4, v5e, v5p and v6e",
        ),
        (
            ("create", *WHICH, "--type=v5e-8", "--every=soon"),
            "--every: 'soon' is not a whole number",
        ),
        (("logs", *WHICH, "--worker=first"), "--worker: 'first' is neither a number nor all"),
        (("run", *WHICH), "the command is missing"),
        (
            ("run", *WHICH, "--", "python", "-m", "train"),
            "the command needs --workdir=gs://BUCKET/FOLDER",
        ),
        (
            ("run", *WHICH, "--", "python", "--workdir=runs/x"),
            "the command needs --workdir=gs://BUCKET/FOLDER",
        ),
        (("setup", *WHICH, "--data=/mnt"), "--data: '/mnt' is not on gs://"),
        (("setup", *WHICH, "--", "ls"), "setup takes no command"),
    ],
)
def test_a_wrong_flag_is_one_line_and_nothing_is_asked_of_the_cloud(cloud, arguments, words):
    done = cloud.tpu(*arguments)
    assert (done.returncode, done.stdout, cloud.calls()) == (2, "", [])
    assert done.stderr.startswith(f"scripts/tpu.sh: {words}") and done.stderr.count("\n") == 1


def test_help_says_what_each_flag_is_for(cloud):
    lists = re.findall(r"(?:common|flags)=\"(.*)\"", (ROOT / "scripts" / "tpu.sh").read_text())
    flags = set(" ".join(lists).split()) - {"$common", "$flags"}
    assert {"--retries", "--follow", "--keep", "--name"} <= flags
    page = cloud.tpu("--help").stdout
    assert {flag for flag in flags if f"\n  {flag}" not in page} == set()
