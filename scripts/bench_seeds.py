"""N seeds in one program against N trainings one after the other in PyTorch.

Used by scripts.bench.
"""

import functools
import os
import statistics

import numpy as np

from scripts import bench_cnn, rounds

COUNTS = (1, 4, 16, 64)
WAYS = ("map", "vmap", "devices", "devices+vmap")
STEPS = 5  # in one dispatch of Canon
TABLE = "configs/papers/lstm1997/embedded_reber.py:small/3 blocks of 2 at 0.5"
ADDING = "configs/lstm_adding.py:T=100"
# an LSTM of 32 units on the adding problem, batch 64; two of bench_cnn.MODELS
CASES = ("lstm", "lenet5", "resnet20")


def ours(case: str, seeds: int, way: str, steps: int = STEPS):
    """A function that trains `steps` steps of every seed and waits.

    case: one of CASES, or a config.
    """
    import jax

    from configs import load
    from train import experiment, parallel
    from train.loop import fresh_state

    changes = {"parallel.seeds": way, "seeds": tuple(range(seeds)), "steps_per_dispatch": steps}
    if case in bench_cnn.MODELS:
        e = bench_cnn.experiment(*bench_cnn.MODELS[case], changes)
    else:
        changes |= {"model.hidden": 32, "data.batch_size": 64} if case == "lstm" else {}
        e = experiment.build(load.load(ADDING if case == "lstm" else case, changes)[1])
    program = parallel.Program(e)
    held = [program.start(fresh_state(e)), 0]

    def call():
        held[0], ticket = program.train(held[0], held[1], steps)
        held[1] += steps
        jax.block_until_ready(ticket)

    return call


def theirs(case: str):
    """A function that trains one step of one training in PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if case != "lstm":
        return bench_cnn.theirs(case, channels_last=False, compiled=False)
    layer, head = nn.LSTM(2, 32, batch_first=True), nn.Linear(32, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    rng = np.random.default_rng(0)
    x, y = (
        torch.tensor(rng.random([64, 100, 2], np.float32)),
        torch.tensor(rng.random([64, 1], np.float32)),
    )

    def call():
        optimizer.zero_grad()
        (head(layer(x)[0][:, -1]) - y).square().mean().backward()
        optimizer.step()

    return call


def compare(count: int) -> None:
    """Prints milliseconds per step of one seed, by each way and number of seeds.

    Also PyTorch's milliseconds per step of one training.
    """
    from train.__main__ import prepare_jax

    prepare_jax()
    import jax

    for case in CASES:
        # a round of 16 ResNet-20s takes minutes
        for seeds in COUNTS if case != "resnet20" else COUNTS[:2]:
            ways = [
                way for way in WAYS if seeds >= len(jax.devices()) or not way.startswith("devices")
            ]
            makers = {way: functools.partial(ours, case, seeds, way) for way in ways}
            times, skipped, _ = rounds.quiet(
                {"torch": functools.partial(theirs, case)} | makers, count
            )
            if not times["torch"]:
                print(f"{case}, {seeds} seeds: no quiet round; other processes use the machine")
                continue
            each = {
                way: statistics.median(t) / (1 if way == "torch" else STEPS * seeds)
                for way, t in times.items()
            }
            shown = ", ".join(f"{way} {1000 * t:.2f}" for way, t in each.items())
            quiet = len(times["torch"])
            print(
                f"{case}, {seeds} seeds, ms a step and seed: {shown}; {quiet} quiet rounds of "
                f"{quiet + skipped}",
                flush=True,
            )
    population(count)


def population(count: int) -> None:
    """30 trials of LSTM 1997, experiment 1, together, against one trial run 30 times."""
    ways = (("30", 30, "devices+vmap"), ("1", 1, "map"))
    makers = {name: functools.partial(ours, TABLE, n, way, 500) for name, n, way in ways}
    times, skipped, _ = rounds.quiet(makers, count)
    if not times["1"]:
        print("lstm1997: no quiet round; other processes use the machine")
        return
    ratio = statistics.median(
        30 * one / many for one, many in zip(times["1"], times["30"], strict=True)
    )
    together, alone = 500 * 30 / statistics.median(times["30"]), 500 / statistics.median(times["1"])
    print(
        f"lstm1997, experiment 1: 30 trials together {together:,.0f} sequences/s, one alone "
        f"{alone:,.0f}: "
        f"{ratio:.1f} times faster than one by one; {len(times['1'])} quiet rounds of "
        f"{len(times['1']) + skipped}"
    )
