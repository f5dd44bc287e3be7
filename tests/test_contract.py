"""What holds for every image network and recurrent cell: devices, seeds, bfloat16 and recomputing change nothing they should
not."""

import inspect

import helpers
import jax
import numpy as np
import pytest

import architectures
from architectures import cells

NAMES = [name for name in architectures.MODELS if "image" in architectures.takes(name)]
QUICK = ("alexnet", "googlenet", "lenet5", "resnet_cifar", "resnet_v2_cifar", "vgg")  # one of each family; others with --full
EACH = pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.full) for n in NAMES])
LENET = "configs/lenet_fashion_mnist.py"
TRAINING = {"data__batch_size": 16, "optim__name": "momentum", "optim__lr": 0.01, "steps_per_dispatch": 1}


def experiment(name, *, seeds=(0,), devices=1, how="map", **hyperparameters):
    e = helpers.build(LENET, seeds=seeds, parallel__devices=devices, parallel__seeds=how, **TRAINING)
    return helpers.on_random_images(e, name, **hyperparameters)


def recomputing(name) -> dict:
    """remat=True for a model that has blocks to recompute."""
    return {"remat": True} if "remat" in inspect.signature(architectures.MODELS[name]).parameters else {}


@EACH
def test_eight_devices_that_recompute_activations_learn_what_one_that_keeps_them_does(name):
    one, alone, carry = helpers.losses(experiment(name), 1)
    many, together, eight = helpers.losses(experiment(name, devices=8, **recomputing(name)), 1)
    np.testing.assert_allclose(many, one, rtol=1e-4)
    ours, theirs = together.state(eight), alone.state(carry)
    helpers.close(ours.params, theirs.params, 1e-4)
    helpers.close(ours.model_state, theirs.model_state, 1e-4)


@EACH
def test_four_seeds_learn_as_one_batched_program_in_bfloat16(name):
    e = experiment(name, seeds=(0, 1, 2, 3), devices=2, how="vmap", dtype="bfloat16", **recomputing(name))
    curve, program, carry = helpers.losses(e, 2)
    assert np.isfinite(curve).all() and len(set(curve[-1].tolist())) == 4
    assert {leaf.dtype for leaf in jax.tree.leaves(program.state(carry).params)} == {np.dtype("float32")}


def test_only_networks_without_blocks_cannot_recompute_activations():
    assert {name for name in NAMES if not recomputing(name)} == {"lenet1", "lenet4", "lenet5", "lenet5_1998", "alexnet_cifar"}


# recurrent cells: masks, reversal, bfloat16 carries and step by step are in test_recurrent.py


def recurrent(cell, **changes):
    """An experiment with both directions of a cell on the adding problem."""
    changes = {"model__cell": cell, "model__directions": "both", "model__forget_bias": None, "optim__lr": 0.001} | changes
    return helpers.build(**changes)


@pytest.mark.parametrize("cell", cells.CELLS)
def test_eight_devices_that_recompute_chunks_of_time_learn_what_one_that_keeps_them_does(cell):
    one, alone, carry = helpers.losses(recurrent(cell, parallel__devices=1, model__scan="plain"), 2)
    many, together, eight = helpers.losses(recurrent(cell, parallel__devices=8, model__remat=4), 2)
    np.testing.assert_allclose(many, one, rtol=1e-4)
    helpers.close(together.state(eight).params, alone.state(carry).params, 1e-4)


@pytest.mark.parametrize("cell", cells.CELLS)
def test_four_seeds_of_a_cell_learn_as_one_batched_program_in_bfloat16(cell):
    changes = dict(seeds=(0, 1, 2, 3), parallel__devices=2, parallel__seeds="vmap")
    curve, program, carry = helpers.losses(recurrent(cell, dtype="bfloat16", **changes), 2)
    assert np.isfinite(curve).all() and len(set(curve[-1].tolist())) == 4
    assert {leaf.dtype for leaf in jax.tree.leaves(program.state(carry).params)} == {np.dtype("float32")}
    full, _, _ = helpers.losses(recurrent(cell, **changes), 2)
    np.testing.assert_allclose(curve, full, rtol=0.1)
