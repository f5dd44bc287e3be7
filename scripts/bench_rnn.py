"""A training step of recurrent layers, Canon's against PyTorch's, in alternating rounds.

Used by scripts.bench.
"""

import functools
import os
import statistics

import numpy as np

from scripts import rounds

CELLS = dict(elman="RNN", gru="GRU", lstm="LSTM")
# batch, hidden and input size, time steps
SHAPES = ((64, 256, 100), (32, 128, 400), (32, 650, 35), (128, 128, 35))
STEPS = 10  # of Canon in one dispatch


def ours(cell: str, shape: tuple[int, int, int], *, scan: str = "fused", devices: int = 2):
    """A function that trains STEPS steps of SGD on the sum of squares of a layer's outputs.

    It waits for them.
    """
    import jax
    import jax.numpy as jnp

    from architectures import cells
    from architectures.recurrent import Recurrent

    batch, hidden, time_steps = shape
    devices = min(devices, jax.device_count())
    layer = Recurrent(cells.make(cell, hidden), scan=scan)
    x = (
        np.random.default_rng(0)
        .normal(size=(devices, batch // devices, time_steps, hidden))
        .astype(np.float32)
    )
    mask = np.ones(x.shape[:3], bool)
    params = layer.init(jax.random.key(0), x[0], mask[0])

    def steps(params, x, mask):
        def loss(params):
            return jnp.square(layer.apply(params, x, mask)[1]).mean()

        def one(_, params):
            grads = jax.lax.pmean(jax.grad(loss)(params), "d")
            return jax.tree.map(lambda p, g: p - 1e-3 * g, params, grads)

        return jax.lax.fori_loop(0, STEPS, one, params)

    run = jax.pmap(
        steps, axis_name="d", in_axes=(None, 0, 0), out_axes=None, devices=jax.devices()[:devices]
    )
    compiled = run.lower(params, x, mask).compile()
    held = [params]

    def call():
        held[0] = jax.block_until_ready(compiled(held[0], x, mask))

    return call


def theirs(cell: str, shape: tuple[int, int, int]):
    """A function that trains one such step in PyTorch."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batch, hidden, time_steps = shape
    layer = getattr(torch.nn, CELLS[cell])(hidden, hidden, batch_first=True)
    x = torch.tensor(
        np.random.default_rng(0).normal(size=(batch, time_steps, hidden)).astype(np.float32)
    )
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)

    def call():
        optimizer.zero_grad()
        layer(x)[0].square().mean().backward()
        optimizer.step()

    return call


def compare(cells, count: int) -> None:
    """Prints, for each cell and shape, PyTorch's milliseconds and Canon's median ratio to them."""
    from train.__main__ import prepare_jax

    prepare_jax()
    for cell in cells:
        for shape in SHAPES:
            makers = {
                "torch": functools.partial(theirs, cell, shape),
                "2 devices": functools.partial(ours, cell, shape),
                "1 device": functools.partial(ours, cell, shape, devices=1),
                "plain scan, 2 devices": functools.partial(ours, cell, shape, scan="plain"),
            }
            times, skipped, _ = rounds.quiet(makers, count)
            if not times["torch"]:
                print(f"{cell} {shape}: no quiet round; other processes use the machine")
                continue
            ratios = {
                name: statistics.median(
                    a / STEPS / b for a, b in zip(times[name], times["torch"], strict=True)
                )
                for name in makers
                if name != "torch"
            }
            shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
            milliseconds = 1000 * statistics.median(times["torch"])
            quiet, what = (
                len(times["torch"]),
                f"{cell:<5} batch {shape[0]}, H {shape[1]}, T {shape[2]}",
            )
            print(
                f"{what}: PyTorch {milliseconds:.1f} ms; ours / PyTorch: {shown}; {quiet} quiet "
                f"rounds of {quiet + skipped}",
                flush=True,
            )
