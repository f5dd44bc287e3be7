"""Checks that hosts do not change what is learned: 1, 2 and 4 processes train the same networks.

1 process has 4 devices, 2 have 2 each and 4 have 1 each, all on this machine.

python -m scripts.hosts_check [--networks=LeNet-5,LSTM,Seq2Seq,...] [--steps=N]

2 x 2 and 4 x 1 must end with the same bits, and within 1e-6 of 1 x 4; the exit code is 1 where they
do not. They are compared after 50 steps, ResNet-20 after one: within one process too, 50 steps turn
a difference of 1e-8 into 1e-2.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from configs import base, load
from train import __main__ as command
from train import host_flags, hosts
from train.errors import BadInput, Parser, exit_with

# for the largest difference of a parameter; momentum, as Adam turns last bits into whole steps
TOLERANCE = 1e-6
COMMON = {"optim.name": "momentum", "optim.lr": 0.01, "seeds": (0,), "steps_per_dispatch": 10}
NETWORKS = {  # name -> config, changes
    "LeNet-5": (
        "configs/lenet_fashion_mnist.py",
        {"data.batch_size": 32, "data.source": "embedded"},
    ),
    "LeNet-5 with batch norm": (  # over all devices
        "configs/lenet_fashion_mnist.py",
        {"data.batch_size": 32, "data.source": "embedded", "model.batch_norm": "synchronised"},
    ),
    # 7 to 29 frames
    "LSTM": ("configs/lstm_japanese_vowels.py", {"data.batch_size": 40, "model.hidden": 16}),
    "Seq2Seq": (
        "configs/seq2seq_cmudict.py",
        {"data.batch_size": 32, "data.buckets": 1, "model.hidden": 16, "model.embedding": 8},
    ),
    "four seeds": (  # divided over the devices
        "configs/lstm_adding.py:T=10",
        {
            "data.batch_size": 8,
            "model.hidden": 8,
            "seeds": (0, 1, 2, 3),
            "parallel.seeds": "devices",
        },
    ),
    "ResNet-20": (  # batch norm over all devices
        "configs/cnn_fashion_mnist.py:model=resnet20",
        {"data.batch_size": 16, "data.source": "embedded", "model.batch_norm": "synchronised"},
    ),
}
STEPS = dict.fromkeys(NETWORKS, 50) | {"ResNet-20": 1}
LAYOUTS = ((1, 4), (2, 2), (4, 1))  # processes, devices of each


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.hosts_check", __doc__)
    parser.add_argument(
        "--steps", type=int, metavar="N", help="of every network, instead of its own number"
    )
    parser.add_argument(
        "--networks", default=",".join(NETWORKS), metavar="NAME,...", help="only these"
    )
    parser.add_argument("--into", help=argparse.SUPPRESS)  # for the processes that this one starts
    host_flags.add(parser)
    flags = parser.parse_args(arguments)
    names = flags.networks.split(",")
    for name in names:
        if name not in NETWORKS:
            raise BadInput(f"--networks: unknown {name!r}; {base.nearest(name, NETWORKS)}")
    if flags.steps is not None and flags.steps < 1:
        raise BadInput(f"--steps: {flags.steps} must be at least 1")
    steps = {name: flags.steps or STEPS[name] for name in names}
    if flags.into:
        return _train(flags, steps, pathlib.Path(flags.into))
    with tempfile.TemporaryDirectory() as folder:
        learned = [_launch(arguments, pathlib.Path(folder), *layout) for layout in LAYOUTS]
    print(f"{'':<24} after     2 x 2 and 4 x 1    1 x 4 and 2 x 2: largest difference")
    good = True
    for name in names:
        one, two, four = (of[name] for of in learned)
        same = all(np.array_equal(a, b) for a, b in zip(two, four, strict=True))
        apart = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
        good &= same and apart <= TOLERANCE
        after = f"{steps[name]} step{'s' * (steps[name] > 1)}"
        print(f"{name:<24} {after:<9} {'the same bits' if same else 'DIFFERENT':<18} {apart:.1e}")
    return 0 if good else 1


def _launch(
    arguments: list[str], folder: pathlib.Path, processes: int, devices: int
) -> dict[str, list[np.ndarray]]:
    """The parameters of each network after training with this many processes and devices."""
    into, port = folder / f"{processes}x{devices}", host_flags.free_port()
    into.mkdir()
    flags = os.environ.get("XLA_FLAGS", "").split()
    flags = [f for f in flags if "device_count" not in f] + [
        f"--xla_force_host_platform_device_count={devices}"
    ]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(flags)}
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "scripts.hosts_check",
                *arguments,
                f"--into={into}",
                *host_flags.of(port, i, processes),
            ],
            env=environment,
            cwd=load.ROOT,
        )
        for i in range(processes)
    ]
    if any([process.wait() for process in started]):
        raise BadInput(
            f"{processes} processes of {devices} devices did not come to their end; see above"
        )
    of = {file.stem: np.load(file) for file in into.iterdir()}
    return {name: [arrays[key] for key in arrays.files] for name, arrays in of.items()}


def _train(flags, steps: dict[str, int], into: pathlib.Path) -> int:
    command.prepare_jax()
    hosts.initialise(flags, "python -m scripts.hosts_check")
    import jax

    from train import experiment, loop
    from train.parallel import Program

    for name, count in steps.items():
        config, changes = NETWORKS[name]
        e = experiment.build(load.load(config, COMMON | {"optim.steps": count} | changes)[1])
        assert len(e.layout.devices) == 4
        program = Program(e)
        carry = program.start(loop.fresh_state(e))
        for step in range(0, count, e.steps_per_dispatch):
            carry, _ = program.train(carry, step, min(e.steps_per_dispatch, count - step))
        learned = program.state(carry).params
        if hosts.first():
            np.savez(into / f"{name}.npz", *jax.tree.leaves(learned))
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.hosts_check")
