"""A Slurm of one node: munged, slurmctld and slurmd, all on 127.0.0.1 and as the user who tests.

Debian: apt-get install slurm-wlm munge.
"""

import contextlib
import getpass
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

from services import programs, stop, wait_until
from train import host_flags

CONFIG = """
ClusterName=canon
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=30
MinJobAge=3000
PreemptMode=REQUEUE
PreemptType=preempt/partition_prio
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=0
PartitionName=patient Nodes={host} MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=30
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


class Slurm:
    """folder: its files. environment: with which Slurm's own commands ask this Slurm."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("SLURM")
        } | {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command, **variables) -> str:
        """What a command of Slurm prints; it must end well."""
        done = subprocess.run(
            list(map(str, command)),
            env=self.environment | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def tasks(self, job: str) -> dict[str, dict[str, str]]:
        """What Slurm knows of each task of an array job that has started, by the task's number."""
        found = {}
        for line in self.run("scontrol", "--oneliner", "show", "job", job).splitlines():
            fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
            found[fields["ArrayTaskId"]] = fields
        return found

    def clear(self) -> None:
        """Cancels all jobs, and waits until none is left."""
        self.run("scancel", f"--user={getpass.getuser()}")
        while self.run("squeue", "--noheader"):
            time.sleep(0.2)

    def wait_for(self, job: str, task: str, *states: str, seconds: float = 120) -> dict[str, str]:
        """What is known of a task once it is in one of these states."""
        end = time.monotonic() + seconds
        while (known := self.tasks(job).get(task, {})).get("JobState") not in states:
            assert time.monotonic() < end, f"task {task} is not {' or '.join(states)}: {known}"
            time.sleep(0.2)
        return known


@contextlib.contextmanager
def slurm() -> Iterator[Slurm]:
    munged, slurmctld, slurmd, *_ = programs("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm"))  # short, for the path of a socket
    folder.chmod(0o755)
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge" / "key").write_bytes(os.urandom(1024))
    (folder / "munge" / "key").chmod(0o400)
    (folder / "slurm.conf").write_text(
        CONFIG.format(
            folder=folder,
            user=getpass.getuser(),
            host=socket.gethostname().partition(".")[0],
            ports=[host_flags.free_port() for _ in range(2)],
        )
    )
    service = Slurm(folder)
    munge = [f"--socket={folder}/munge.sock"] + [
        f"--{file}-file={folder}/munge/{file}" for file in ("key", "pid", "log", "seed")
    ]
    started = []

    def start(name, *command):
        with open(folder / f"{name}.log", "w") as log:
            started.append(
                subprocess.Popen(command, env=service.environment, stdout=log, stderr=log)
            )

    def idle() -> bool:
        for process in started:
            if process.poll() is not None:
                logs = "".join(file.read_text()[-500:] for file in folder.glob("*.log"))
                pytest.skip(f"Slurm cannot run here: {' '.join(logs.split())}")
        node = subprocess.run(
            ["sinfo", "--noheader", "--Format=StateLong"],
            env=service.environment,
            capture_output=True,
            text=True,
        )
        return "idle" in node.stdout

    try:
        start("munged", munged, "--foreground", "--force", *munge)
        wait_until((folder / "munge.sock").exists, "munged")
        start("slurmctld", slurmctld, "-D", "-c")
        start("slurmd", slurmd, "-D", "-c", "-N", socket.gethostname().partition(".")[0])
        wait_until(idle, "Slurm")
        yield service
    finally:
        for process in reversed(started):
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)
