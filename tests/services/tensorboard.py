"""TensorBoard on 127.0.0.1, asked as its page asks it.

pip install tensorboard; it needs no TensorFlow.
"""

import contextlib
import importlib.util
import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from services import stop, wait_until
from train import host_flags


class TensorBoard:
    """What it shows of one folder of runs."""

    def __init__(self, port: int):
        self.address = f"http://127.0.0.1:{port}/data"

    def ask(self, path: str, **query: str):
        address = f"{self.address}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)

    def tags(self, run: str) -> list[str]:
        return sorted(self.ask("plugin/scalars/tags").get(run, {}))

    def scalars(self, run: str, tag: str) -> list[tuple[int, float]]:
        """The (step, value) of a curve, as it is drawn."""
        points = self.ask("plugin/scalars/scalars", run=run, tag=tag)
        return [(step, value) for _, step, value in points]


@contextlib.contextmanager
def tensorboard(folder: pathlib.Path) -> Iterator[TensorBoard]:
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("not installed: tensorboard")
    port = host_flags.free_port()
    service = TensorBoard(port)
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={folder}", "--host=127.0.0.1"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    process = subprocess.Popen(
        [*command, f"--port={port}", "--samples_per_plugin=scalars=100000"], **quiet
    )

    def shows() -> bool:
        with contextlib.suppress(OSError, urllib.error.URLError):
            return bool(service.ask("plugin/scalars/tags"))
        return False

    try:
        wait_until(shows, "TensorBoard")
        yield service
    finally:
        stop(process)
