"""Real services for the tests marked `full`. Each file here is one service: a context manager starts
it on loopback alone, and stops it; where it cannot run, the test is skipped with a line."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # where daemons are, and an ordinary user's PATH is not


def programs(*names: str) -> list[str]:
    """Their paths; skips where one is not installed."""
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    found = {name: shutil.which(name, path=path) for name in names}
    missing = [name for name, file in found.items() if file is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return list(found.values())


def wait_until(ready, what: str, seconds: float = 60) -> None:
    """Returns once ready() is true; skips where a service does not get so far."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            pytest.skip(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.1)


def accepts(port: int) -> bool:
    """Whether something listens there on 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def stop(process: subprocess.Popen, seconds: float = 10) -> None:
    """Ends a process that a test started, by its own id."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
