"""Real processes that have met: what a further one, a process 0 that stands still and the name of
the host do to them."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from train import host_flags, hosts

pytestmark = pytest.mark.full
PROGRAM = """
import argparse, time
from train import host_flags, hosts
parser = argparse.ArgumentParser()
host_flags.add(parser)
from train.errors import exit_with
def main(arguments):
    hosts.initialise(parser.parse_args(arguments), "python -m test")
    from jax.experimental import multihost_utils
    multihost_utils.sync_global_devices("by Gloo")
    print("met", flush=True)
    time.sleep(600)
exit_with(main, "python -m test")
"""


@pytest.fixture
def begin(tmp_path):
    """Starts a process that meets the others, exchanges something with them, and stays."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started = []

    def begin(*flags, before=()):
        command = [*before, sys.executable, tmp_path / "program.py", *flags]
        process = subprocess.Popen(
            command,
            env=os.environ
            | {"PYTHONPATH": os.getcwd(), "XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def assert_met(processes) -> None:
    for process in processes:
        assert "met\n" in process.stdout, process.communicate()[1]  # Gloo has a line of its own


def test_a_third_process_whose_id_is_taken_ends_in_one_line_and_the_others_stay(begin):
    port = host_flags.free_port()
    both = [begin(*host_flags.of(port, i, 2)) for i in range(2)]
    assert_met(both)
    for process in (1, 0):
        third = begin(*host_flags.of(port, process, 2))
        _, error = third.communicate(timeout=120)
        assert third.returncode == 2 and error.startswith("python -m test: --coordinator: ")
        assert error.count("\n") == 1
    time.sleep(3)
    assert [process.poll() for process in both] == [None, None]


def test_where_process_0_stands_still_the_others_end_with_69_and_its_name(begin):
    port = host_flags.free_port()
    both = [begin(*host_flags.of(port, i, 2), "--heartbeat=3") for i in range(2)]
    assert_met(both)
    both[0].send_signal(signal.SIGSTOP)
    _, error = both[1].communicate(timeout=120)
    assert both[1].returncode == hosts.LOST
    assert re.search(r"process 0 \(.*\) is lost, silent for 4 s; the same command resumes", error)


def listening(process: int) -> set[str]:
    """The addresses, HOST:PORT in hexadecimal, at which a process listens."""
    inodes = set()
    for file in pathlib.Path(f"/proc/{process}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(file))
        inodes |= {found[1]} if found else set()
    rows = [
        line.split()
        for kind in ("tcp", "tcp6")
        for line in pathlib.Path(f"/proc/{process}/net/{kind}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and row[9] in inodes}


def test_processes_that_meet_on_loopback_listen_there_alone_whatever_their_host_is_called(
    begin, tmp_path
):
    """The name of the host is 127.0.0.9, in a view of /etc/hosts of their own."""
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost\n127.0.0.9 {socket.gethostname()}\n")
    mount = f'mount --bind {tmp_path}/hosts /etc/hosts && exec "$@"'
    before = ("unshare", "--mount", "bash", "-c", mount, "bash")
    if not shutil.which("unshare") or subprocess.run([*before, "true"]).returncode:
        pytest.skip("no mount namespace of one's own here")
    port = host_flags.free_port()
    both = [begin(*host_flags.of(port, i, 2), before=before) for i in range(2)]
    assert_met(both)
    addresses = [listening(process.pid) for process in both]
    assert all(addresses) and any(place.endswith(f":{port:04X}") for place in addresses[0])
    for place in set.union(*addresses):  # 127.0.0.1, last byte first
        assert place.partition(":")[0].endswith("0100007F")
