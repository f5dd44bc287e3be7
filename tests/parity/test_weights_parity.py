"""Networks of torchvision, timm and Keras with random weights and statistics, and ours with the same: logits, gradients, files."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity import oracles

from architectures import convert


def ours(source, train):
    """Our network with the oracle's weights and no dropout, as a function of variables and images: a list of logits."""
    module, variables = convert.load(source, oracles.oracle(source).state)
    names = {"dropout", "auxiliary_dropout"} & set(module.__dataclass_fields__)
    module = module.clone(**{name: 0.0 for name in names})

    def forward(variables, images):
        out = module.apply(
            variables, images, jnp.ones([len(images)], bool), train=train, mutable=["batch_stats"] if train else False
        )
        out = out[0] if train else out
        return list(out) if isinstance(out, tuple) else [out]

    return forward, variables


def batch(source, train, size=4):
    side = oracles.image_size(source, train)
    return np.random.default_rng(1).standard_normal((size, side, side, 3), np.float32), np.arange(size) % 10


def difference(a, b) -> float:
    """The largest difference between two arrays, relative to the largest value of the second."""
    assert a.shape == b.shape
    return float(np.abs(np.asarray(a) - b).max() / np.abs(b).max())


def logits_differ(source, train) -> float:
    images, _ = batch(source, train, 1 if not train else 4)
    expected = oracles.oracle(source).logits(images, train)
    forward, variables = ours(source, train)
    found = jax.jit(forward)(variables, images)
    assert len(found) == len(expected)
    return max(map(difference, found, expected))
