"""The tiny runs that scripts.torture disturbs, and what it compares of them."""

import pathlib
import subprocess
import sys

import numpy as np
from etils import epath

from configs import load
from train import log
from train.checkpoint import Checkpoints

COMMON = (
    "--config.data.batch_size=30",
    "--config.checkpoint.every=40",
    "--config.log.every=25",
    "--config.seeds=0,1",
)
RUNS = {
    "lenet": (
        *("--config=configs/lenet_fashion_mnist.py", "--config.data.source=embedded", *COMMON),
        *("--config.optim.steps=300", "--config.eval.every=150"),
    ),
    "lstm": (
        "--config=configs/lstm_japanese_vowels.py",
        *COMMON,
        "--config.optim.steps=600",
        "--config.eval.every=120",
    ),
}


def start(*arguments, program=("-m", "train"), **options) -> subprocess.Popen:
    command = [sys.executable, *program, *map(str, arguments)]
    options = {"cwd": load.ROOT} | options  # a train.py in the current folder is not Canon's
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def arrays_of(workdir: pathlib.Path, warn=print) -> tuple[int, dict]:
    with Checkpoints(epath.Path(workdir) / "checkpoints", 2) as checkpoints:
        arrays, meta = checkpoints.arrays(warn)
    return meta["step"], arrays


def records_of(workdir: pathlib.Path) -> list[dict]:
    return [
        {k: v for k, v in record.items() if k != "examples_per_s"}
        for record in log.read(epath.Path(workdir))
    ]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
