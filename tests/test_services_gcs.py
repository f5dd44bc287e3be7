"""Runs on gs://, against fake-gcs-server: the bits of a local run whatever interrupts them, one
process at a time, the rights that they need, and a server that stops, refuses or does not
answer."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import helpers
import pytest
from services import gcs
from tiny_table import TINY

from scripts import table_runs
from train import host_flags, lock

pytestmark = pytest.mark.full
RUN = "gs://canon/"
PAUSE = 0.05  # s before each answer, so that a run of 120 steps can be met on its way
DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def service():
    with gcs.started() as server:
        yield server


@pytest.fixture
def server(service):
    yield service
    service.fault, service.denied, service.pause, service.fail_at = None, frozenset(), 0, None


def start(server, *command: str, **environment: str) -> subprocess.Popen:
    """python -m COMMAND with both clients of the bucket led to the server."""
    environment = os.environ | DEVICES | server.environment | environment
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen, seconds: float = 400) -> tuple[int, str, str]:
    """Its code, what it printed, and what it said of errors without the clients' own remarks."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    lines = [line for line in err.splitlines() if "google_auth_provider" not in line]
    return process.returncode, out, "\n".join(lines)


def train(server, run: str, *flags: str) -> subprocess.Popen:
    return start(server, "train", *helpers.VOWELS, f"--workdir={RUN}{run}", *flags)


def wait_for(server, name: str, process: subprocess.Popen) -> None:
    """Until an object is there."""
    while server.generation(name) == "0":
        assert process.poll() is None, end(process)
        time.sleep(0.1)


def digest(meta: bytes) -> str:
    return json.loads(meta)["digest"]


def records(text: str) -> list[dict]:
    """Without times."""
    lines = map(json.loads, text.splitlines())
    return [{k: v for k, v in line.items() if k != "examples_per_s"} for line in lines]


def assert_as_local(server, run: str, finished) -> None:
    """The last arrays and all records are those of a local run, to the bit."""
    local = finished[0]
    meta = server.read(f"{run}/checkpoints/120/meta/metadata")
    assert digest(meta) == digest((local / "checkpoints/120/meta/metadata").read_bytes())
    text = server.read(f"{run}/metrics.jsonl").decode()
    assert records(text) == records((local / "metrics.jsonl").read_text())


def test_a_run_with_the_rights_of_an_object_user_has_the_bits_of_a_local_one(server, finished):
    server.denied = {"storage.buckets.get"}
    code, out, err = end(train(server, "fresh"))
    assert (code, err) == (0, "")
    assert_as_local(server, "fresh", finished)
    written = {name.removeprefix("fresh/").partition("/")[0] for name in server.objects("fresh/")}
    assert {"config.json", "curves.png", "result.json", "tensorboard"} < written
    assert not {"lock", "writable"} & written
    steps = {name.split("/")[2] for name in server.objects("fresh/checkpoints/")}
    assert len(steps) == 3  # the others were deleted
    shown, judged = train(server, "fresh"), train(server, "fresh", "--eval_only")
    result = out[out.rindex("test/loss   ") :]
    assert end(shown)[:2] == (0, f"{RUN}fresh is done:\n{result}")
    code, out, _ = end(judged)
    assert code == 0 and f"step 120 of {RUN}fresh" in out
    report = end(start(server, "scripts.report", f"{RUN}fresh"))
    assert report[0] == 0 and "test/error" in report[1]


def test_a_second_process_is_refused_and_what_the_first_had_saved_at_sigterm_goes_on(
    server, finished
):
    server.pause = PAUSE
    first = train(server, "two")
    wait_for(server, "two/checkpoints/20/commit_success.txt", first)
    server.pause = 2 * PAUSE
    code, out, err = end(train(server, "two"))
    assert code == 2 and first.poll() is None
    assert f"is training in {RUN}two; wait, or use another one" in err.splitlines()[-1]
    first.send_signal(signal.SIGTERM)
    code, out, err = end(first)
    assert code == 75 and "lock" not in server.objects("two/lock")
    server.pause = 0
    code, out, err = end(train(server, "two"))
    assert code == 0 and "resuming at step" in out
    assert_as_local(server, "two", finished)


def test_after_kill_9_the_lock_is_taken_over_and_a_flipped_bit_costs_one_checkpoint(
    server, finished
):
    server.pause = PAUSE
    killed = train(server, "killed")
    wait_for(server, "killed/checkpoints/40/commit_success.txt", killed)
    killed.kill()
    killed.wait()
    server.pause = 0
    steps = {name.split("/")[2] for name in server.objects("killed/checkpoints/")}
    newest = max(
        (
            step
            for step in steps
            if f"killed/checkpoints/{step}/commit_success.txt"
            in server.objects(f"killed/checkpoints/{step}/")
        ),
        key=int,
    )
    for name in server.objects(f"killed/checkpoints/{newest}/state/"):
        if "/d/" in name:
            contents = bytearray(server.read(name))
            contents[::16] = bytes(byte ^ 1 for byte in contents[::16])
            server.write(name, bytes(contents))
    begun = time.monotonic()
    code, out, err = end(train(server, "killed"))
    assert code == 0 and time.monotonic() - begun > lock.STALE
    assert re.search(r"is locked by process \d+ on .*; if that is dead, this run begins in 60", err)
    assert f"checkpoint {newest} in {RUN}killed/checkpoints is broken" in out
    assert_as_local(server, "killed", finished)


@pytest.mark.parametrize(
    ("right", "says"),
    [
        ("create", "cannot write in"),
        ("delete", "cannot overwrite a file in"),
        ("list", "not reached"),
        ("get", "cannot write in"),
    ],
)
def test_a_right_that_is_missing_is_said_at_the_start(server, right, says):
    server.denied = {f"storage.objects.{right}"}
    code, out, err = end(train(server, f"no_{right}"))
    assert code == 2 and not out and len(err.splitlines()) == 1 and says in err
    assert not any("checkpoints" in name for name in server.objects(f"no_{right}/"))


@pytest.mark.parametrize("fault", [503, 401, "stopped", "silent"])
def test_a_server_that_fails_in_mid_run_ends_it_with_74_in_bounded_time(server, fault, finished):
    run = f"mid_{fault}"
    server.pause = PAUSE
    process = train(server, run)
    wait_for(server, f"{run}/checkpoints/40/commit_success.txt", process)
    server.fault, begun = fault, time.monotonic()
    code, _, err = end(process)
    seconds = time.monotonic() - begun
    assert code == 74 and len(err.splitlines()) == 1 and f"in {RUN}{run}" in err, (code, err)
    assert seconds < (240 if fault == "silent" else 100)
    server.fault, server.pause = None, 0
    if fault == 503:
        assert end(train(server, run))[0] == 0
        assert_as_local(server, run, finished)


def test_every_command_ends_with_one_line_where_no_server_is(server, tmp_path):
    table = tmp_path / "tiny" / "table.py"
    table.parent.mkdir()
    table.write_text(TINY)
    nowhere = gcs.at(f"http://127.0.0.1:{host_flags.free_port()}")
    commands = [
        ("train", *helpers.VOWELS),
        ("train", *helpers.VOWELS, "--eval_only"),
        ("scripts.sweep", str(table)),
        ("scripts.report", str(table)),
        ("scripts.transduce", "canon"),
        ("scripts.generate",),
    ]
    begun = time.monotonic()
    processes = [start(server, *of, f"--workdir={RUN}x", **nowhere) for of in commands]
    for command, process in zip(commands, processes, strict=True):
        code, _, err = end(process)
        assert code == 74 and len(err.splitlines()) == 1, (command, err)
        assert "not reached" in err and "the same command tries again" in err
    assert time.monotonic() - begun < 150


@pytest.mark.parametrize("fault", [503, "stopped"])
def test_evaluation_ends_with_74_where_the_server_fails_once_it_has_begun(server, fault):
    """After the config has been read, while a checkpoint is."""
    run = f"evaluated_{fault}"
    assert end(train(server, run))[0] == 0
    server.fail_at = f"{run}%2Fcheckpoints%2F120%2Fstate", fault
    code, _, err = end(train(server, run, "--eval_only"))
    assert code == 74 and len(err.splitlines()) == 1, err
    assert "broken" not in err


def test_a_sweep_and_its_report_have_the_numbers_of_local_ones(server, tmp_path):
    numbers = []
    for where in (tmp_path / "runs", f"{RUN}sweep"):
        table = tmp_path / f"{len(numbers)}" / "table.py"
        table.parent.mkdir()
        table.write_text(TINY)
        for script in ("sweep", "report"):
            code, _, err = end(start(server, f"scripts.{script}", str(table), f"--workdir={where}"))
            assert (code, err) == (0, "")
        rows = table_runs.read(table.parent)
        numbers.append([(r["row"], r["seed"], r["measure"], r["value"], r["steps"]) for r in rows])
    assert numbers[0] == numbers[1] and len(numbers[0]) == 3 * 3 * 2
