"""What holds for every image network and recurrent cell: devices, seeds, bfloat16 and recomputing
change nothing they should not."""

import dataclasses
import functools
import inspect

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import architectures
from architectures import cells, convolution
from architectures.lstm1997 import LSTM1997Cell
from architectures.recurrent import Recurrent
from train import flops, step
from train.data.source import Dataset, Source
from train.loop import fresh_state

NAMES = [name for name in architectures.MODELS if "image" in architectures.takes(name)]
# one of each family; others with --full
QUICK = ("alexnet", "googlenet", "lenet5", "resnet_cifar", "resnet_v2_cifar", "vgg")
EACH = pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in NAMES]
)
LENET = "configs/lenet_fashion_mnist.py"
TRAINING = {
    "data__batch_size": 16,
    "optim__name": "momentum",
    "optim__lr": 0.01,
    "steps_per_dispatch": 1,
}


def experiment(name, *, seeds=(0,), devices=1, how="map", **hyperparameters):
    e = helpers.build(
        LENET, seeds=seeds, parallel__devices=devices, parallel__seeds=how, **TRAINING
    )
    return helpers.on_random_images(e, name, **hyperparameters)


def recomputing(name) -> dict:
    """remat=True for a model that has blocks to recompute."""
    return (
        {"remat": True}
        if "remat" in inspect.signature(architectures.MODELS[name]).parameters
        else {}
    )


def learned_in_float64(name, **changes):
    """The loss of a step, and the float32 parameters and float64 statistics after it.

    The network computes in float64: in float32 rounding takes a ReLU across its kink, which in maps
    of one pixel and 16 images moves a parameter by 0.01 (bn_inception).
    """

    def to(dtype, tree):
        return jax.tree.map(lambda x: x.astype(dtype) if x.dtype.kind == "f" else x, tree)

    with jax.enable_x64(True):
        e = experiment(name, dtype=jnp.float64, **changes)
        state = to(np.float32, fresh_state(e))
        state = state.replace(model_state=to(np.float64, state.model_state))
        loss, program, carry = helpers.losses(e, 1, state=state)
        state = program.state(carry)
    return loss, state.params, state.model_state


@EACH
def test_eight_devices_that_recompute_activations_learn_what_one_that_keeps_them_does(name):
    one, many = learned_in_float64(name), learned_in_float64(name, devices=8, **recomputing(name))
    helpers.close(many, one, 1e-6)


@EACH
def test_four_seeds_learn_as_one_batched_program_in_bfloat16(name):
    e = experiment(
        name, seeds=(0, 1, 2, 3), devices=2, how="vmap", dtype="bfloat16", **recomputing(name)
    )
    curve, program, carry = helpers.losses(e, 2)
    assert np.isfinite(curve).all() and len(set(curve[-1].tolist())) == 4
    assert {leaf.dtype for leaf in jax.tree.leaves(program.state(carry).params)} == {
        np.dtype("float32")
    }


def gradient_cost(e) -> int:
    """Multiply-adds of one step's gradient."""
    state = jax.tree.map(lambda x: jnp.asarray(x[0]), fresh_state(e))

    def gradient(state):
        return step.gradients(state, e.example_batch(), jnp.int32(0), experiment=e, axis=None)[0]

    with convolution.stock():
        return flops.multiply_adds(gradient, state)


@pytest.mark.parametrize("name", [name for name in QUICK if name != "lenet5"])
def test_recomputing_activations_costs_multiply_adds_in_the_gradient(name):
    assert gradient_cost(experiment(name, remat=True)) > gradient_cost(experiment(name))


def test_only_networks_without_blocks_cannot_recompute_activations():
    assert {name for name in NAMES if not recomputing(name)} == {
        "lenet1",
        "lenet4",
        "lenet5",
        "lenet5_1998",
        "alexnet_cifar",
    }


# recurrent cells


CELLS = {
    name: cells.make(name, 6, initialiser=None if name == "irnn" else "torch")
    for name in cells.CELLS
} | {
    "lstm1997": LSTM1997Cell(6, size=2),
    "lstm1997, inputs only": LSTM1997Cell(
        6, connections="inputs", bias="none", output_gate=False, squash_output="identity"
    ),
}
LENGTHS = np.array([7, 4, 1, 6] * 4)


class Answer(nn.Module):
    """Three numbers a sequence, read from the final carry and from all outputs of a cell."""

    cell: cells.Cell
    options: dict

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        carry, y = Recurrent(self.cell, **self.options)(x, mask)
        return nn.Dense(3)(jnp.concatenate([self.cell.operand(carry), y.sum(axis=1)], axis=-1))


def learned(
    cell,
    *,
    dtype="float32",
    padding=(0, 0),
    flip=False,
    options=None,
    seeds=(0,),
    devices=1,
    how="map",
):
    """The loss of two steps on 16 sequences of 1 to 7 steps, [2, S], and the parameters after them.

    padding: steps of large numbers before and after, beside those that fill up short sequences.
    flip: the last step first."""
    before, after = padding
    x = np.random.default_rng(0).normal(size=(16, 7, 4)).astype(np.float32)
    mask = np.arange(7) < LENGTHS[:, None]
    x = np.pad(np.where(mask[..., None], x, 0), [(0, 0), padding, (0, 0)])
    mask = np.pad(mask, [(0, 0), padding])
    x = np.where(mask[..., None], x, 1e3 if before or after else 0).astype(np.float32)
    if flip:
        x, mask = x[:, ::-1], mask[:, ::-1]
    arrays = dict(
        x=x, mask=mask, target=np.random.default_rng(1).normal(size=(16, 3)).astype(np.float32)
    )

    def make(arrays, index, keys):
        return dict(
            input=arrays["x"][index], mask=arrays["mask"][index], target=arrays["target"][index]
        )

    source = Source(16, arrays, make)
    changes = dict(
        optim__name="momentum",
        optim__lr=0.1,
        seeds=seeds,
        parallel__devices=devices,
        parallel__seeds=how,
    )
    e = helpers.build(data__batch_size=16, **changes)
    dataset = Dataset("sequence", "real", 3, source, {"test": source}, "random", {})
    e = dataclasses.replace(
        e, model=Answer(CELLS[cell].clone(dtype=dtype), options or {}), dataset=dataset
    )
    curve, program, state = helpers.losses(e, 2)
    return curve, program.state(state).params


once = functools.cache(learned)
# what may be done -> the arguments of `learned`, and how near it is to what is learned without
CONTRACT = {
    "mask": (dict(padding=(2, 3)), 1e-5),
    "reverse": (dict(flip=True, options=dict(reverse=True)), 1e-5),
    "vmap over seeds": (dict(seeds=(0, 1, 2, 3), devices=2, how="vmap"), 1e-5),
    "bfloat16": (dict(dtype="bfloat16"), 0.05),
    "8 devices": (dict(devices=8), 1e-5),
    "remat": (dict(options=dict(remat=3)), 1e-5),
}


@pytest.mark.parametrize("way", CONTRACT)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_the_same_whatever_the_padding_direction_seeds_precision_devices_and_recomputing(
    cell, way
):
    changes, tolerance = CONTRACT[way]
    curve, params = learned(cell, **changes)
    expected, plain = once(cell)
    np.testing.assert_allclose(curve[:, :1], expected, rtol=tolerance)
    helpers.close(jax.tree.map(lambda p: p[:1], params), plain, tolerance)
    assert len(set(curve[-1].tolist())) == len(changes.get("seeds", (0,)))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}
    cell = CELLS[cell].clone(dtype=changes.get("dtype", "float32"))
    (carry, _), _ = jax.eval_shape(
        Recurrent(cell).init_with_output,
        jax.random.key(0),
        np.ones([1, 2, 4]),
        np.ones([1, 2], bool),
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(carry)} == {np.dtype("float32")}
