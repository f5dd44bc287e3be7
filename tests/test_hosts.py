"""Several processes, as on several hosts: they learn what one does, and none is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from etils import epath

from scripts import hosts_check
from train import __main__ as command
from train import host_flags, hosts, log
from train.checkpoint import Checkpoints
from train.data import files
from train.errors import BadInput

VOWELS = (
    "--config=configs/lstm_japanese_vowels.py",
    "--config.model.hidden=8",
    "--config.data.batch_size=48",
    "--config.optim.steps=40",
    "--config.eval.every=40",
    "--config.log.every=1",
    "--config.checkpoint.every=20",
    "--config.seeds=0",
    "--config.steps_per_dispatch=4",
)
PATIENCE = 300  # s; a minute's work


def start(
    processes: int, devices: int, *arguments, module="train", of_last=(), **environment
) -> list[subprocess.Popen]:
    """The same command in several processes; the last one has more arguments, or another
    environment."""
    port, flags = (
        host_flags.free_port(),
        f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
    )
    started = []
    for i in range(processes):
        other = i == processes - 1
        line = [*arguments, *host_flags.of(port, i, processes), *(of_last if other else ())]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", module, *map(str, line)],
                env=os.environ | {"XLA_FLAGS": flags} | (environment if other else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def ended(started) -> tuple[list[int], list[str], list[str]]:
    """Exit codes, standard outputs, and our own lines among the errors."""
    try:
        texts = [process.communicate(timeout=PATIENCE) for process in started]
    finally:
        for process in started:
            process.kill()
    ours = [
        "\n".join(line for line in errors.splitlines() if line.startswith("python -m"))
        for _, errors in texts
    ]
    outputs = [
        "\n".join(line for line in out.splitlines() if "peer rank" not in line) for out, _ in texts
    ]
    return [process.returncode for process in started], outputs, ours


def wait_for(path, started) -> None:
    while not path.exists():
        assert all(process.poll() is None for process in started), ended(started)
        time.sleep(0.05)


def final_arrays(workdir) -> dict:
    with Checkpoints(epath.Path(workdir) / "checkpoints", keep=2) as checkpoints:
        return checkpoints.arrays(pytest.fail)[0]


def curve(workdir) -> np.ndarray:
    """The loss of every training step."""
    return np.array(
        [
            record["loss"][0]
            for record in log.read(epath.Path(workdir))
            if record["split"] == "train"
        ]
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two processes of two devices, uninterrupted."""
    workdir = tmp_path_factory.mktemp("hosts") / "run"
    return workdir, ended(start(2, 2, *VOWELS, f"--workdir={workdir}"))


def test_two_hosts_and_four_give_the_same_bits_and_what_one_gives():
    flags = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.hosts_check", "--networks=LeNet-5 with batch norm,LSTM"],
        env=os.environ | flags,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0 and done.stdout.count("the same bits") == 2, (
        done.stdout + done.stderr
    )


def test_process_0_alone_speaks_and_writes_the_result(finished):
    codes, outputs, errors = finished[1]
    assert codes == [0, 0] and errors == ["", ""] and outputs[1] == ""
    assert "cpu x 4 of 4" in outputs[0] and "test/error" in outputs[0]
    assert json.loads((finished[0] / "result.json").read_text())["device"]["count"] == 4


def test_a_signal_to_one_host_stops_all_at_the_same_step_and_all_go_on_to_the_same_bits(
    finished, tmp_path
):
    started = start(2, 2, *VOWELS, f"--workdir={tmp_path}")
    wait_for(tmp_path / "metrics.jsonl", started)  # it compiles now
    started[1].send_signal(signal.SIGTERM)
    codes, _, errors = ended(started)
    assert codes == [75, 75], errors
    steps = {text.partition("interrupted at step ")[2] for text in errors}
    assert len(steps) == 1 and steps != {""} and not (tmp_path / "result.json").exists()
    codes, outputs, _ = ended(start(2, 2, *VOWELS, f"--workdir={tmp_path}"))
    assert codes == [0, 0] and "resuming at step " in outputs[0]
    expected, found = final_arrays(finished[0]), final_arrays(tmp_path)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_host_that_is_killed_ends_the_others_with_its_name_and_the_store_listens_on_loopback_alone(
    tmp_path,
):
    started = start(
        2, 1, *VOWELS, f"--workdir={tmp_path}", "--config.optim.steps=100000", "--heartbeat=3"
    )
    wait_for(tmp_path / "checkpoints" / "20", started)
    port = next(part for part in started[0].args if part.startswith("--coordinator")).rpartition(
        ":"
    )[2]
    with open("/proc/net/tcp") as four, open("/proc/net/tcp6") as six:
        rows = [line.split() for line in [*four, *six]]
    listening = [row[1] for row in rows if row[1].endswith(f":{int(port):04X}") and row[3] == "0A"]
    # 127.0.0.1, last byte first
    assert len(listening) == 1 and listening[0].partition(":")[0].endswith("0100007F")
    started[1].kill()
    codes, _, errors = ended(started)
    assert codes == [hosts.LOST, -signal.SIGKILL], errors
    assert "process 1 (" in errors[0] and "is lost, silent for 4 s" in errors[0]


@pytest.mark.parametrize(
    ("of_last", "says"),
    [
        (["--config.optim.lr=0.5"], "differs from the others: optim.lr is 0.5, not 0.005"),
        (["--config.optim.lrr=0.5"], "ended: unknown key 'optim.lrr'; did you mean 'optim.lr'?"),
    ],
)
def test_a_host_with_another_config_is_named_in_one_line_and_nothing_is_written(
    tmp_path, of_last, says
):
    codes, outputs, errors = ended(
        start(2, 1, *VOWELS, f"--workdir={tmp_path / 'run'}", of_last=of_last)
    )
    assert codes == [2, 2] and outputs == ["", ""] and not (tmp_path / "run").exists()
    assert errors[0].startswith("python -m train: process 1 (") and errors[0].endswith(says)
    assert [text.count("\n") for text in errors] == [0, 0]


def test_a_host_with_another_workdir_is_named(tmp_path):
    first, second = (f"--workdir={tmp_path / name}" for name in "ab")
    codes, _, errors = ended(start(2, 1, *VOWELS, first, of_last=[second]))
    assert codes == [2, 2] and all(
        "process 1 (" in text and "what process 0 wrote" in text for text in errors
    )


def test_a_host_with_other_data_is_named(tmp_path):
    arrays, _ = files.load("fashion_mnist", "embedded")
    (tmp_path / "data").mkdir()
    files.write(
        tmp_path / "data" / "fashion_mnist.npz",
        arrays | {"train_label": arrays["train_label"][::-1]},
    )
    lenet = (
        "--config=configs/lenet_fashion_mnist.py",
        "--config.optim.steps=4",
        f"--workdir={tmp_path / 'run'}",
    )
    codes, _, errors = ended(start(2, 1, *lenet, CANON_DATA=str(tmp_path / "data")))
    assert codes == [2, 2] and all(
        "process 1 (" in text and "the digest of the data is" in text for text in errors
    ), errors


def test_a_host_that_is_alone_says_for_whom_it_waits(tmp_path):
    process = start(2, 1, *VOWELS, f"--workdir={tmp_path}")
    process[1].kill()
    try:
        line = next(text for text in process[0].stderr if text.startswith("python -m"))
        assert "waiting for 2 processes to connect to 127.0.0.1:" in line
    finally:
        ended(process[1:])
        process[0].kill()
        process[0].communicate()


STUCK = """
import argparse, time
from train import host_flags, hosts
hosts.SAY = 1
parser = argparse.ArgumentParser()
host_flags.add(parser)
flags = parser.parse_args()
hosts.initialise(flags, "python -m test")
for step in range(5 if flags.process_id == 0 else 3):
    hosts.requested(step, False)
print("stuck", flush=True)
time.sleep(600)
"""


@pytest.fixture
def stuck(tmp_path, monkeypatch):
    """Starts two processes of which each comes to a standstill, the second one two steps
    earlier."""
    (tmp_path / "stuck.py").write_text(STUCK)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.getcwd()}")

    all_started = []

    def begin(*arguments):
        started = start(2, 1, *arguments, module="stuck")
        all_started.extend(started)
        assert [process.stdout.readline() for process in started] == ["stuck\n"] * 2
        return started

    yield begin
    for process in all_started:
        process.kill()


def test_who_is_ahead_says_for_whom_it_waits_and_the_watchdog_ends_a_stuck_process_and_shows_where(
    stuck,
):
    started = stuck("--watchdog=15")
    errors = [process.communicate(timeout=PATIENCE)[1] for process in started]
    assert (
        "python -m test: at step 4, waiting for process 1 (" in errors[0]
        and ") at step 2\n" in errors[0]
    )
    assert "at step 2, waiting for" not in errors[1]
    assert all("Timeout (0:00:15)!" in text and "stuck.py" in text for text in errors)
    assert all(process.returncode not in (0, None) for process in started)


def test_where_process_0_is_killed_the_other_ends_at_once_with_a_message(stuck):
    started = stuck("--heartbeat=1000")
    started[0].kill()
    _, errors = started[1].communicate(timeout=PATIENCE)
    started[0].communicate()
    assert started[1].returncode in (-signal.SIGABRT, hosts.LOST)  # JAX's end, or ours
    assert "coordination service" in errors or "is lost" in errors


# elastic


@pytest.fixture(scope="module")
def on_eight_devices(tmp_path_factory):
    """A run on eight devices: its workdir, with the checkpoint of step 20 as its newest, and its
    whole curve."""
    workdir = tmp_path_factory.mktemp("elastic") / "run"
    assert command.main([*VOWELS, f"--workdir={workdir}"]) == 0
    whole = curve(workdir)
    shutil.rmtree(workdir / "checkpoints" / "40")
    (workdir / "result.json").unlink()
    return workdir, whole


@pytest.mark.parametrize(("processes", "devices"), [(1, 1), (1, 2), (1, 16), (2, 2)])
def test_a_checkpoint_of_eight_devices_goes_on_by_the_same_curve(
    on_eight_devices, tmp_path, processes, devices
):
    workdir, whole = on_eight_devices
    shutil.copytree(workdir, tmp_path / "run")
    codes, outputs, errors = ended(
        start(processes, devices, *VOWELS, f"--workdir={tmp_path / 'run'}")
    )
    assert codes == [0] * processes, errors
    assert "resuming at step 20" in outputs[0] and f"cpu x {processes * devices} of" in outputs[0]
    found = curve(tmp_path / "run")
    assert len(found) == 40
    np.testing.assert_allclose(found[20:], whole[20:], rtol=1e-5)


def test_a_checkpoint_of_two_hosts_goes_on_in_one_process(finished, tmp_path):
    workdir, whole = tmp_path / "run", curve(finished[0])
    shutil.copytree(finished[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / "40")
    (workdir / "result.json").unlink()
    assert command.main([*VOWELS, f"--workdir={workdir}"]) == 0
    np.testing.assert_allclose(curve(workdir), whole, rtol=1e-5)


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--networks=LSTMM", "--networks: unknown 'LSTMM'; did you mean 'LSTM'"),
        ("--steps=0", "--steps: 0 must be at least 1"),
    ],
)
def test_the_check_of_hosts_refuses_what_it_cannot_train(flag, says):
    with pytest.raises(BadInput, match=says):
        hosts_check.main([flag])
