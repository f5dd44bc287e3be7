"""scripts/ssh_sweep.sh by a real ssh to a real sshd."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest
from services.sshd import sshd

from configs import load

pytestmark = pytest.mark.full
ROOT = pathlib.Path(load.ROOT)
WAITS = """#!/bin/bash
echo $$ >"{folder}/pid"
echo begun
sleep 600
"""


@pytest.fixture(scope="module")
def service():
    with sshd() as service:
        yield service


@pytest.fixture
def launch(service, tmp_path):
    """Starts the launcher with the real ssh; hosts find the repository and its .venv in `it's here`."""
    repository = tmp_path / "it's here"
    repository.mkdir()
    for name in ("architectures", "configs", "scripts", "train"):
        (repository / name).symlink_to(ROOT / name)
    (repository / ".venv").symlink_to(sys.prefix)

    def launch(*arguments):
        return subprocess.Popen(
            [ROOT / "scripts" / "ssh_sweep.sh", f"--dir={repository}", *map(str, arguments)],
            env=os.environ | {"PATH": f"{service.path}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return launch


def test_two_hosts_each_train_their_share_and_their_lines_bear_their_names(
    service, launch, tiny, tmp_path
):
    hosts = [service.host, service.host.replace("127.0.0.1", "localhost")]
    runs = tmp_path / "the runs"
    rows = ("--rows=slow,fast", "--seeds=1")
    out, error = launch(*hosts, "--", tiny, f"--workdir={runs}", *rows).communicate(timeout=300)
    assert all((runs / "small" / row / "result.json").exists() for row in ("slow", "fast")), error
    for host, row in zip(hosts, ("slow", "fast"), strict=True):
        assert any(line.startswith(f"{host}: {row}: test/mse") for line in out.splitlines()), out


def test_what_ends_the_launcher_ends_the_sweep_on_its_host(service, launch, tmp_path):
    stub = tmp_path / "stub"
    (stub / ".venv" / "bin").mkdir(parents=True)
    python = stub / ".venv" / "bin" / "python"
    python.write_text(WAITS.format(folder=tmp_path))
    python.chmod(0o755)
    run = launch(f"--dir={stub}", service.host, "--", "table.py", "--workdir=x")
    assert run.stdout.readline() == f"{service.host}: begun\n"
    process = int((tmp_path / "pid").read_text())
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130
    for _ in range(200):
        if not pathlib.Path(f"/proc/{process}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the sweep still runs")


def test_a_silent_host_is_given_up_and_the_other_one_is_not(service, launch, tiny, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection and is quiet
        quiet = f"ssh://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ("--", tiny, f"--workdir={tmp_path}", "--rows=slow,fast", "--dry_run")
        run = launch(quiet, service.host, *arguments)
        out, error = run.communicate(timeout=120)
    assert run.returncode == 255 and f"{service.host}: " in out
    assert f"ssh_sweep.sh: {quiet} could not be reached, or was lost" in error
