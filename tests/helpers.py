"""What several test files share: small experiments and a real process."""

import dataclasses
import math
import os
import pathlib
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

import architectures
from configs import load
from train import __main__ as command
from train import experiment, host_flags, log
from train.data import DATASETS, files, images, photographs, prepared, texts
from train.data.source import Dataset, Source
from train.data.streamed import Reader
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import Program

ADDING = "configs/lstm_adding.py:T=10"
LENET = "configs/lenet_fashion_mnist.py"
VOWELS = (
    "--config=configs/lstm_japanese_vowels.py",
    "--config.optim.steps=120",
    "--config.eval.every=40",
    "--config.log.every=20",
    "--config.checkpoint.every=20",
    "--config.seeds=0,1",
)
SMALL = {
    "seeds": (0,),
    "model.hidden": 8,
    "data.batch_size": 24,
    "data.examples": 50,
    "eval.batch_size": 16,
    "steps_per_dispatch": 4,
}


def build(spec=ADDING, **changes):
    """The experiment of a config with changes; of the adding problem, a small one. Keys are written
    optim__lr."""
    changes = {key.replace("__", "."): value for key, value in changes.items()}
    return experiment.build(load.load(spec, (SMALL if spec == ADDING else {}) | changes)[1])


def losses(e, steps: int, *, at_a_time: int = 1, state=None):
    """The training loss of each step (or each few), [steps / at_a_time, S], and the program and its
    carry after them.

    state: the one to begin with, in the place of a fresh one.
    """
    program = Program(e)
    carry, curve = program.start(fresh_state(e) if state is None else state), []
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
    return max(
        float(np.abs(np.asarray(x) - np.asarray(y)).max())
        for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
    )


def train(*arguments, devices: int = 2, **environment) -> types.SimpleNamespace:
    """python -m train in a process of its own."""
    return python("-m", "train", *map(str, arguments), devices=devices, **environment)


def python(*arguments, devices: int, **environment) -> types.SimpleNamespace:
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=os.environ | flags | environment, capture_output=True, text=True
    )


def refused_command(*arguments) -> str:
    """The one line with which `python -m train` refuses its arguments, with exit code 2."""
    with pytest.raises(BadInput) as error:
        command.main(list(arguments))
    return " ".join(str(error.value).split())


def refused(*arguments) -> str:
    """The one line that LeNet's config with these flags is refused with."""
    with pytest.raises(BadInput) as error:
        command.main([f"--config={LENET}", *arguments])
    assert "\n" not in str(error.value)
    return str(error.value)


def pod(processes: int, *arguments) -> list[subprocess.Popen]:
    """python -m train in several processes of one device each."""
    port, one_device = (
        host_flags.free_port(),
        os.environ | dict(XLA_FLAGS="--xla_force_host_platform_device_count=1"),
    )
    commands = [
        [sys.executable, "-m", "train", *arguments, *host_flags.of(port, i, processes)]
        for i in range(processes)
    ]
    return [
        subprocess.Popen(
            c, env=one_device, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for c in commands
    ]


def assert_same_records(workdir, other) -> None:
    """Of the steps and splits, with losses equal to 1e-5."""
    records, others = (log.read(epath.Path(run)) for run in (workdir, other))
    assert len(records) == len(others) > 2
    for one, two in zip(records, others, strict=True):
        assert (one["step"], one["split"]) == (two["step"], two["split"])
        np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-5)


def drawn(name, count=4000, split="train", **options) -> dict[str, np.ndarray]:
    """`count` generated examples of a data set."""
    data = DATASETS[name](**options)
    source = data.train if split == "train" else data.evals[split]
    index = jnp.zeros([count], jnp.int32)
    feed = dict(index=index, valid=index == 0)
    batch = jax.jit(lambda: source.batch({}, feed, jax.random.key(0), jnp.arange(count)))()
    return {k: np.asarray(v) for k, v in batch.items()}


def batch(source, index, key=0):
    """The examples with these numbers, as one batch."""
    index = jnp.asarray(index)
    arrays = {name: jnp.asarray(array) for name, array in source.arrays.items()}
    return source.batch(
        arrays, dict(index=index, valid=index >= 0), jax.random.key(key), jnp.arange(len(index))
    )


def taken(
    source, step=0, steps=1, rows=(0, 40), *, training=True, batch_size=40
) -> dict[str, np.ndarray]:
    """The batches of some steps of a streamed source, from a reader that begins there."""
    reader = Reader(source, batch_size, rows, training=training)
    try:
        return reader.take(step, steps, steps)
    finally:
        reader.close()


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def flip_bits(checkpoint: pathlib.Path) -> None:
    """One of every 16 bytes: on some of them no value depends, and which these are differs from run
    to run."""
    for data in (checkpoint / "state").rglob("d/*"):
        contents = bytearray(data.read_bytes())
        for place in range(0, len(contents), 16):
            contents[place] ^= 1
        data.write_bytes(contents)


class Bucket(MemoryFileSystem):
    """Stands in for Google Cloud Storage: it cannot append either, as far as epath goes."""

    protocol = ("gs", "gcs")
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.split("://")[-1].strip("/")


def bucket(monkeypatch) -> epath.Path:
    monkeypatch.setitem(_registry, "gcs", Bucket)
    monkeypatch.setattr(Bucket, "store", {})
    return epath.Path("gs://bucket")


def close(a, b, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, leaf by leaf."""
    for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1, np.abs(y).max(initial=0)))


# hyper-parameters and image that make an image model quick to run; others take 32 x 32 x 1 as they
# are
REDUCED = {
    "lenet1": ({}, (28, 28, 1)),
    "alexnet": (dict(width=0.1, image_size=67), (67, 67, 3)),
    "alexnet_2014": (dict(width=0.1, image_size=67), (67, 67, 3)),
    "alexnet_cifar": (dict(width=0.2), (16, 16, 3)),
    "vgg": (dict(width=0.1, image_size=32, configuration="A"), (32, 32, 3)),
    "googlenet": (dict(width=0.1, auxiliary_pool="adaptive"), (32, 32, 3)),
    "googlenet_torchvision": (dict(width=0.1), (32, 32, 3)),
    "bn_inception": (dict(width=0.1), (32, 32, 3)),
    "inception_v3": (dict(width=0.1, stem="small"), (16, 16, 3)),
    "resnet": (dict(width=4, depth=18), (32, 32, 3)),
    "resnet_cifar": (dict(width=4), (16, 16, 3)),
    "plain": (dict(width=4, depth=18), (32, 32, 3)),
    "plain_cifar": (dict(width=4), (16, 16, 3)),
    "resnet_v2": (dict(width=4, depth=50), (32, 32, 3)),
    "resnet_v2_cifar": (dict(width=4, depth=20), (16, 16, 3)),
    "seq2seq": (dict(symbols=7, hidden=8), None),
}


def on_random_images(e, model: str, **hyperparameters):
    """The experiment with the model `model`, small, and 16 random images of 4 classes that fit it,
    all in one batch."""
    small, image = REDUCED.get(model, ({}, (32, 32, 1)))
    images = np.random.default_rng(0).normal(size=(16, *image)).astype(np.float32)
    arrays = dict(image=images, label=np.arange(16, dtype=np.int32) % 4)

    def make(arrays, index, keys):
        return dict(input=arrays["image"][index], target=arrays["label"][index])

    source = Source(16, arrays, make)
    network = architectures.build(
        model, outputs=10, axis_name=e.layout.axis, **small | hyperparameters
    )
    dataset = Dataset("image", "class", 10, source, {"test": source}, "random", {})
    return dataclasses.replace(e, model=network, dataset=dataset, batch_size=16)


def or_a_little_text(load):
    """texts.load, with 2,000 lines in the place of the Brown corpus and of the two bibles, which
    are not in the repository."""
    lines = dict(
        brown=["The/at dog/nn saw/vbd it/ppo ./.", "It/pps ran/vbd"] * 1000,
        kjv_reina_valera=["The LORD is good.\tBueno es Jehová.", "And it was so.\tY fué así."]
        * 1000,
    )

    def loaded(name, source="auto"):
        return (lines[name], load("kjv")[1]) if name in lines else load(name, source)

    return loaded


def stand_in_data(monkeypatch) -> None:
    """Puts something of the right shape in the place of data that is not in the repository; of
    photographs none is read."""
    load_files = files.load

    def load(name, source="auto"):
        if source == "embedded" or files.SETS[name].sources == ("embedded",):
            return load_files(name, source)
        of, arrays = files.SETS[name], {}
        for key, (dtype, shape) in of.arrays.items():
            example = np.arange(math.prod(shape)).reshape(shape) % of.classes
            arrays[key] = np.broadcast_to(
                example.astype(dtype), (of.full[key.split("_")[0]], *shape)
            )
        return arrays, files.Origin(source, "", "standing in", of.full, "")

    scaling = images.scaling
    monkeypatch.setattr(files, "load", load)
    # they are all one image
    monkeypatch.setattr(images, "scaling", lambda scale, image: scaling(scale, image[:2]))
    monkeypatch.setattr(texts, "load", or_a_little_text(texts.load))
    monkeypatch.setattr(prepared, "directory", pathlib.Path)
    counts = dict(train=1_281_167, validation=50_000)
    splits = ("train", "validation")
    monkeypatch.setattr(photographs, "_contents", lambda *_: (splits, counts, ("",) * 1000, ""))
