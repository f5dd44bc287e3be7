"""A Cloud TPU in the folder $CLOUD, asked as by gcloud: one TPU of two hosts, whose ssh runs here
with a home of its own.

The test writes $CLOUD/fails (how many creates fail), $CLOUD/states (what describe says before
ACTIVE, one a line), $CLOUD/silent (how many calls of ssh nobody answers) and $CLOUD/outcomes: what
each start of the command comes to, one a line: an exit code, "preempt", or "wait", to go on for
  ever. gs:// is $CLOUD/gs. Every call is entered in $CLOUD/calls as JSON.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

CLOUD = pathlib.Path(os.environ["CLOUD"])
HOSTS = [CLOUD / f"host{i}" for i in range(2)]
PYTHON3 = """#!/bin/bash
[ "$*" = "-m pip install --quiet --user uv" ] && mkdir -p ~/.local/bin && cp $CLOUD/bin/uv.stub ~/.local/bin/uv
"""
RSYNC = """#!/bin/bash
[ "$*" = "storage rsync --recursive gs://b/tfds $HOME/tensorflow_datasets" ] && touch ~/tensorflow_datasets/cifar10
"""
UV = """#!/bin/bash
echo "uv $*" >>$CLOUD/installs
if [ "$1" = venv ]; then mkdir -p .venv/bin && cp $CLOUD/bin/python.stub .venv/bin/python; fi
"""
PYTHON = """#!/bin/bash
printf '%s\\n' "$@" >$CLOUD/arguments
ls ~/tensorflow_datasets >$CLOUD/data
host=${HOME##*/}
echo "$host: $OUTCOME"
case $OUTCOME in
  preempt) echo SUSPENDED >$CLOUD/tpu; exec sleep 60 ;;
  wait) exec sleep 60 ;;
  0) [ $host = host1 ] || for word in "$@"; do
       case $word in
         --workdir=gs://*) folder=$CLOUD/gs/${word#--workdir=gs://}; mkdir -p $folder; echo {} >$folder/result.json ;;
       esac
     done ;;
esac
exit $OUTCOME
"""


def lines(name: str) -> list[str]:
    path = CLOUD / name
    return path.read_text().split("\n")[:-1] if path.exists() else []


def take(name: str) -> bool:
    """Whether one was left of the number in a file, which it takes away."""
    left = int((lines(name) or ["0"])[0])
    (CLOUD / name).write_text(f"{max(left - 1, 0)}\n")
    return left > 0


def fail(text: str):
    sys.exit(f"ERROR: (gcloud) {text}")


def create(arguments):
    if (CLOUD / "tpu").exists():
        fail("ALREADY_EXISTS: the queued resource exists")
    if take("fails"):
        fail("RESOURCE_EXHAUSTED: no capacity")
    (CLOUD / "tpu").write_text("".join(f"{state}\n" for state in [*lines("states"), "ACTIVE"]))
    (CLOUD / "bin").mkdir(exist_ok=True)
    for name, text in (
        ("python3", PYTHON3),
        ("uv.stub", UV),
        ("python.stub", PYTHON),
        ("gcloud", RSYNC),
    ):
        (CLOUD / "bin" / name).write_text(text)
        (CLOUD / "bin" / name).chmod(0o755)
    for host in HOSTS:
        host.mkdir()


def describe(arguments):
    states = lines("tpu")
    if not states:
        fail("NOT_FOUND: the queued resource does not exist")
    print(states[0])
    if len(states) > 1:
        (CLOUD / "tpu").write_text("".join(f"{state}\n" for state in states[1:]))


def delete(arguments):
    if not lines("tpu"):
        fail("NOT_FOUND: the queued resource does not exist")
    for host in HOSTS:
        pid = host / "canon" / "run.pid"
        if pid.exists():
            try:
                # the group of its own that it was started in
                os.killpg(int(pid.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(host)
    (CLOUD / "tpu").unlink()


def chosen(arguments):
    if lines("tpu") != ["ACTIVE"] or take("silent"):
        print("ERROR: (gcloud) ssh: connect to host: Connection timed out", file=sys.stderr)
        sys.exit(255)
    worker = next(a for a in arguments if a.startswith("--worker=")).partition("=")[2]
    return HOSTS if worker == "all" else [HOSTS[int(worker)]]


def ssh(arguments):
    codes, outcome = [], ""
    if "tpu_host.sh start " in arguments[-1]:
        with (CLOUD / "starts").open("a") as file:
            file.write("start\n")
        outcome = lines("outcomes")[len(lines("starts")) - 1]
    for host in chosen(arguments):
        print(f"SSH: Attempting to connect to {host.name}...", file=sys.stderr)
        environment = dict(
            HOME=str(host), CLOUD=str(CLOUD), PATH=f"{CLOUD}/bin:/usr/bin:/bin", OUTCOME=outcome
        )
        codes.append(
            subprocess.run(["bash", "-c", arguments[-1]], cwd=host, env=environment).returncode
        )
    sys.exit(next((code for code in codes if code), 0))


def scp(arguments):
    source, target = arguments[:2]
    for host in chosen(arguments):
        shutil.copy(source, host / target.partition(":")[2])


def ls(arguments):
    if not (CLOUD / "gs" / arguments[0].removeprefix("gs://")).exists():
        fail("One or more URLs matched no objects.")


def cp(arguments):
    file = CLOUD / "gs" / arguments[1].removeprefix("gs://")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(sys.stdin.read())


COMMANDS = {
    ("compute", "tpus", "queued-resources", "create"): create,
    ("compute", "tpus", "queued-resources", "describe"): describe,
    ("compute", "tpus", "queued-resources", "delete"): delete,
    ("compute", "tpus", "tpu-vm", "ssh"): lambda arguments: ssh(arguments[1:]),
    ("compute", "tpus", "tpu-vm", "scp"): scp,
    ("storage", "ls"): ls,
    ("storage", "cp"): cp,
}

if __name__ == "__main__":
    given = sys.argv[1:]
    with (CLOUD / "calls").open("a") as file:
        file.write(json.dumps(given) + "\n")
    name = next(name for name in COMMANDS if tuple(given[: len(name)]) == name)
    COMMANDS[name](given[len(name) :])
