"""Faults of gs://, for scripts.torture: a right that is missing, a server that stops.

The server is that of the tests, on loopback.
"""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from scripts.torture_faults import LIMIT, REFUSED, ROOT, report
from scripts.torture_runs import RUNS, records_of, start
from train import log

BUCKET = "gs://canon/"
RIGHTS = (
    "storage.buckets.get",
    *(f"storage.objects.{right}" for right in ("create", "delete", "get", "list")),
)
FAILURES = (503, 401, "stopped")
KINDS = ("rights", "server")
PAUSE = 0.05  # s before each answer, so that a run can be interrupted midway
SHARE = 5  # one trial for this many faults of the other kinds: a server is retried for minutes


def ended(process: subprocess.Popen) -> tuple[int, str]:
    try:
        out, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
    return process.returncode, out


def as_whole(server, run: str, whole: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a run in the bucket ended with the arrays and records of a local one."""
    step = max(int(path.name) for path in (whole / "checkpoints").iterdir())
    meta = f"checkpoints/{step}/meta/metadata"
    if server.generation(f"{run}/{meta}") == "0":
        return False
    digests = {
        json.loads(text)["digest"]
        for text in (server.read(f"{run}/{meta}"), (whole / meta).read_bytes())
    }
    folder.mkdir(parents=True)
    (folder / log.FILE).write_bytes(server.read(f"{run}/{log.FILE}"))
    return len(digests) == 1 and records_of(folder) == records_of(whole)


def trial(kind: str, server, name: str, run: str, whole: pathlib.Path, folder, draw) -> str:
    """The outcome of one trial: "same", "refused", or what is wrong.

    "same": the run ends well. "refused": it ends in one line and, once the fault is over, the same
    command resumes it to the same end.
    """
    steps = range(40, 321, 40) if name == "lstm" else range(40, 201, 40)
    at = draw.choice((0, *steps)) if kind == "rights" else draw.choice(steps)
    denied = draw.choice(RIGHTS) if kind == "rights" else None
    failure = draw.choice(FAILURES) if kind == "server" else None
    command = (*RUNS[name], f"--workdir={BUCKET}{run}")
    environment = os.environ | server.environment

    def fail():
        server.denied, server.fault = frozenset({denied} - {None}), failure

    if not at:
        fail()
    server.pause = PAUSE
    process = start(*command, env=environment)
    while at and process.poll() is None:
        if server.generation(f"{run}/checkpoints/{at}/commit_success.txt") != "0":
            break
        time.sleep(0.1)
    fail()
    code, out = ended(process)
    server.denied, server.fault, server.pause = frozenset(), None, 0
    how = f"{denied or failure} from step {at} on: ended with {code}"
    if "Traceback" in out or code not in (0, *REFUSED):
        return f"{how}:\n{out}"
    if code:
        again, out = ended(start(*command, env=environment))
        if again:
            return f"{how}, then with {again}:\n{out}"
    good = as_whole(server, run, whole, folder)
    return ("refused" if code else "same") if good else f"{how}, and with other arrays or records"


@contextlib.contextmanager
def service():
    """The server, or None, with a message, where it cannot run."""
    sys.path.append(str(ROOT / "tests"))
    try:
        import pytest
        from services import gcs
    except ImportError as error:
        print(f"gs://: skipped ({error})")
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(gcs.started())
        except pytest.skip.Exception as error:
            print(f"gs://: skipped ({error})")
            server = None
        yield server


def torture(
    kind: str, name: str, count: int, whole: pathlib.Path, folder: pathlib.Path, draw
) -> bool:
    """As torture_faults.torture, with a fifth of the faults, at least one."""
    came, begun = collections.Counter(), time.time()
    with service() as server:
        for number in range(max(1, count // SHARE) if server else 0):
            run = f"{name}-{kind}-{number}"
            outcome = trial(kind, server, name, run, whole, folder / str(number), draw)
            came[outcome if outcome in ("same", "refused") else "wrong"] += 1
            if outcome not in ("same", "refused"):
                print(f"{name}: {kind}: {outcome}", flush=True)
            shutil.rmtree(folder / str(number), ignore_errors=True)
    then = ", and ended so once the fault was over"
    return report(kind, name, came, time.time() - begun, then)
