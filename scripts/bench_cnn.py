"""A training step of the convolutional networks, Canon's against PyTorch's, in alternating rounds.

Used by scripts.bench.
"""

import contextlib
import ctypes
import dataclasses
import functools
import os
import statistics

import numpy as np

from scripts import rounds

MODELS = {  # name -> (Canon's model and hyper-parameters, batch, image)
    "lenet5": (dict(name="lenet5", activation="relu", subsampling="max"), 128, (32, 32, 1)),
    "resnet50": (dict(name="resnet", stride_in="3x3", pool="padded"), 8, (128, 128, 3)),
    "vgg11": (dict(name="vgg", configuration="A", image_size=64), 16, (64, 64, 3)),
    "alexnet": (dict(name="alexnet_2014"), 16, (224, 224, 3)),
    "resnet20": (dict(name="resnet_cifar"), 128, (32, 32, 3)),
}
KEEP = {-1: 2**31 - 1, -4: 0}  # of mallopt in glibc's malloc.h: M_TRIM_THRESHOLD, M_MMAP_MAX
# steps per dispatch of Canon, a config's default; each dispatch allocates the memory of a step
# again, at some cost
STEPS = 10


def ours(name: str, *, steps: int, devices: int | None, stock: bool = False):
    """A function that trains `steps` steps in one dispatch and waits for them.

    devices: as in parallel.devices.
    """
    from train.loop import fresh_state

    e = experiment(*MODELS[name], {"steps_per_dispatch": steps, "parallel.devices": devices})
    return trainer(e, fresh_state(e), stock=stock)


def experiment(model: dict, batch: int, image: tuple[int, int, int], changes: dict[str, object]):
    """The training of a model by momentum on one batch of noise.

    changes: of its config.
    """
    import architectures
    from configs import base
    from train import experiment
    from train.data.source import Dataset, Source

    fixed = {
        "optim.name": "momentum",
        "optim.lr": 1e-4,
        "data.source": "embedded",
        "data.batch_size": batch,
    }
    e = experiment.build(base.override(base.get_config(), fixed | changes))
    images, labels = batch_of(batch, image)

    def make(arrays, index, keys):
        return dict(input=arrays["image"][index], target=arrays["label"][index])

    source = Source(batch, dict(image=images, label=labels), make)
    return dataclasses.replace(
        e,
        model=architectures.build(**model, outputs=classes(image), axis_name=e.layout.axis),
        dataset=Dataset("image", "class", classes(image), source, {"test": source}, "random", {}),
    )


def trainer(e, state, *, stock: bool = False):
    """A function that trains the steps of one dispatch, from `state` on, and waits for them."""
    import jax

    from architectures import convolution
    from train import parallel

    with convolution.stock() if stock else contextlib.nullcontext():
        program = parallel.Program(e)
        carry, steps = program.start(state), e.steps_per_dispatch
        index = np.tile(np.arange(e.batch_size, dtype=np.int32), (1, steps, 1))
        feeds = dict(index=index, valid=np.ones(index.shape, bool))
        own, shared = (
            program.divide(**feeds),
            program.shared(e.dataset.train, steps, np.zeros(steps, np.int32)),
        )
        compiled = program.compiled.lower(carry, own, shared).compile()
    carry = [carry]

    def run():
        carry[0], ticket = compiled(carry[0], own, shared)
        jax.block_until_ready(ticket)

    return run


def theirs(name: str, *, channels_last: bool, compiled: bool):
    """A function that trains one step in PyTorch and waits for it."""
    import torch

    from scripts import bench_torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = getattr(bench_torch, name)(classes(MODELS[name][2]))
    return bench_torch.trainer(
        network, *batch_of(*MODELS[name][1:]), channels_last=channels_last, compiled=compiled
    )


def classes(image) -> int:
    return 10 if image[0] == 32 else 1000


def batch_of(batch: int, image) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(0).normal(size=(batch, *image))
    return images.astype(np.float32), (np.arange(batch) % 10).astype(np.int32)


def keeping_memory(make, name: str):
    """What `make` returns, in a process whose glibc keeps freed memory.

    Otherwise the kernel clears new pages in each step.
    """
    for parameter, value in KEEP.items():
        ctypes.CDLL(None).mallopt(parameter, value)
    return make(name)


VARIANTS = {
    "ours": functools.partial(ours, steps=STEPS, devices=None),
    "ours, 1 device": functools.partial(ours, steps=STEPS, devices=1),
    "ours, single steps": functools.partial(ours, steps=1, devices=None),
    "stock XLA, 1 device": functools.partial(ours, steps=STEPS, devices=1, stock=True),
    "torch eager NCHW": functools.partial(theirs, channels_last=False, compiled=False),
    "torch eager channels_last": functools.partial(theirs, channels_last=True, compiled=False),
    "torch compiled NCHW": functools.partial(theirs, channels_last=False, compiled=True),
    "torch compiled channels_last": functools.partial(theirs, channels_last=True, compiled=True),
}
VARIANTS |= {
    f"{name}, memory kept": functools.partial(keeping_memory, make)
    for name, make in VARIANTS.items()
}


def compare(names, count: int, variants) -> None:
    """Prints the speed and memory of each variant of each network.

    Its median milliseconds per step, their median ratio to PyTorch's best, and its peak memory.
    """
    from train.__main__ import prepare_jax

    prepare_jax()
    for name in names:
        makers = {v: functools.partial(make, name) for v, make in VARIANTS.items() if v in variants}
        times, skipped, peaks = rounds.quiet(makers, count)
        for v in times:
            if not v.startswith("torch") and "single" not in v:
                times[v] = [seconds / STEPS for seconds in times[v]]
        report(name, times, skipped, peaks)


def report(name: str, times: dict[str, list[float]], skipped: int, peaks: dict[str, int]) -> None:
    if not next(iter(times.values())):
        print(f"{name}: no quiet round; other processes use the machine")
        return
    torchs = [v for v in times if v.startswith("torch")]
    best = min(torchs, key=lambda v: statistics.median(times[v])) if torchs else next(iter(times))
    _, batch, image = MODELS[name]
    quiet = len(times[best])
    print(
        f"{name}, batch {batch}, {image[0]} px; {quiet} quiet rounds of {skipped + quiet}; ratios "
        f"to {best}"
    )
    for v, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[best], strict=True))
        print(
            f"  {v:<42} {1000 * statistics.median(seconds):8.1f} ms {ratio:6.2f}   peak "
            f"{peaks[v]:,} MB",
            flush=True,
        )
