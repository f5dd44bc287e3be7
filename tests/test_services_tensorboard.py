"""What a real TensorBoard draws is what metrics.jsonl says."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from etils import epath
from helpers import VOWELS, train
from services.tensorboard import tensorboard

from train import log

pytestmark = pytest.mark.full


def test_tensorboard_draws_each_record_once_of_a_run_that_was_killed_interrupted_and_resumed(
    tmp_path,
):
    workdir = tmp_path / "run"
    command = [sys.executable, "-m", "train", *VOWELS, f"--workdir={workdir}"]
    for step, number in ((40, signal.SIGKILL), (80, signal.SIGTERM)):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (workdir / "checkpoints" / str(step)).exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        process.wait()
    assert train(*VOWELS, f"--workdir={workdir}").returncode == 0
    records = log.read(epath.Path(workdir))
    with tensorboard(tmp_path) as board:
        for split, metric in (("train", "loss"), ("test", "error")):
            of_log = [(r["step"], np.mean(r[metric])) for r in records if r["split"] == split]
            tag, end = f"{split}/{metric}", time.monotonic() + 30
            while len(drawn := board.scalars("run/tensorboard", tag)) < len(of_log):
                assert time.monotonic() < end, drawn  # it reads a file bit by bit
                time.sleep(0.2)
            assert [step for step, _ in drawn] == [step for step, _ in of_log]
            np.testing.assert_allclose([v for _, v in drawn], [v for _, v in of_log], rtol=1e-6)
