"""A network of each name, small, and what goes into it."""

import functools

import jax
import jax.numpy as jnp
from helpers import REDUCED

import architectures

KEY = jax.random.key(0)


def example(name, batch=3):
    """Inputs and mask that the model `name` takes."""
    if "image" in architectures.takes(name):
        return jax.random.normal(KEY, (batch, *REDUCED.get(name, ({}, (32, 32, 1)))[1])), jnp.ones(
            [batch], bool
        )
    mask = jnp.arange(6) < jnp.array([6, 4, 1])[:, None]
    if "pair" in architectures.takes(name):
        return dict(
            source=jnp.arange(18).reshape(3, 6) % 7, target=jnp.arange(12).reshape(3, 4) % 10
        ), mask
    return jax.random.normal(KEY, (batch, 6, 4)), mask


def initialised(name, **hyperparameters):
    model, (x, mask) = (
        architectures.build(name, outputs=10, **REDUCED.get(name, ({}, 0))[0] | hyperparameters),
        example(name),
    )
    init = jax.jit(
        functools.partial(model.init, train=False),
        compiler_options={"xla_backend_optimization_level": 0},
    )
    return model, init(KEY, x, mask), x, mask


def evaluated(model, variables, x, mask):
    return jax.jit(functools.partial(model.apply, train=False))(variables, x, mask)


def sizes(variables) -> dict[str, int]:
    return {
        name: sum(p.size for p in jax.tree.leaves(tree))
        for name, tree in variables["params"].items()
    }
