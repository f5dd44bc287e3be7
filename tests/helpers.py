"""What several test files share: small experiments and a real process."""

import os
import subprocess
import sys
import types

import jax
import numpy as np

from configs import load
from train import experiment
from train.loop import fresh_state
from train.parallel import Program

ADDING = "configs/lstm_adding.py:T=10"
SMALL = {
    "seeds": (0,),
    "model.hidden": 8,
    "data.batch_size": 24,
    "data.examples": 50,
    "eval.batch_size": 16,
    "steps_per_dispatch": 4,
}


def build(spec=ADDING, **changes):
    """The experiment of a config with changes; of the adding problem, a small one. Keys are written optim__lr."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return experiment.build(load.load(spec, (SMALL if spec == ADDING else {}) | changes)[1])


def losses(e, steps: int, *, at_a_time: int = 1):
    """The training loss of each step (or each few), [steps / at_a_time, S], and the program and its carry after them."""
    program = Program(e)
    carry, curve = program.start(fresh_state(e)), []
    for step in range(0, steps, at_a_time):
        carry, _ = program.train(carry, step, at_a_time)
        carry, sums = program.take_sums(carry)
        sums = program.fetch(sums)
        curve.append(sums["loss"] / sums["count"])
    return np.array(curve), program, carry


def trained(e, steps: int, *, at_a_time: int = 1):
    """The parameters after some steps, [S, ...] each."""
    _, program, carry = losses(e, steps, at_a_time=at_a_time)
    return program.state(carry).params


def differ(a, b) -> float:
    """The largest absolute difference between two trees."""
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def train(*arguments, devices: int = 2, **environment) -> types.SimpleNamespace:
    """python -m train in a process of its own."""
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-m", "train", *map(str, arguments)]
    return subprocess.run(command, env=os.environ | flags | environment, capture_output=True, text=True)


def close(a, b, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, leaf by leaf."""
    for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1, np.abs(y).max()))
