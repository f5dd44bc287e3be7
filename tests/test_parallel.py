"""Devices and seeds: no number of either changes what one seed learns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import build, differ, losses, trained

from train import step
from train.__main__ import _header
from train.data.source import Dataset, Source
from train.layout import AXIS
from train.loop import fresh_state
from train.parallel import Program
from train.tasks import TASKS


@pytest.mark.parametrize("devices", [2, 8])
def test_devices_that_divide_the_batch_give_the_loss_curve_of_one_device_with_dropout(devices):
    one, many = (build(parallel__devices=n, model__dropout=0.3, seeds=(0, 1)) for n in (1, devices))
    np.testing.assert_allclose(losses(many, 30)[0], losses(one, 30)[0], rtol=1e-5)


def test_a_network_of_many_parameters_and_a_small_batch_stays_on_one_device_of_a_cpu_unless_told():
    wide = {"model__hidden": 1500, "data__batch_size": 8}  # 9 million parameters
    counts = [
        len(build(**wide | more).layout.devices)
        for more in ({}, {"data__batch_size": 16}, {"parallel__devices": 4})
    ]
    assert counts == [1, 8, 4]
    e = build(**wide)
    assert (
        e.model.axis_name is None and _header(e, "wide")[1] == "device  cpu x 1 of 8; seeds by map"
    )


@pytest.mark.parametrize("how", ["devices", "devices+vmap"])
def test_devices_that_divide_the_seeds_give_what_one_device_gives(how):
    one, many = (
        build(parallel__devices=n, parallel__seeds=h, seeds=tuple(range(8)))
        for n, h in ((1, "map"), (4, how))
    )
    np.testing.assert_allclose(losses(many, 20)[0], losses(one, 20)[0], rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        dict(model__activation="tanh", model__subsampling="average"),
        # under Adam the last bit of a ReLU or a maximum soon is a large step
        dict(optim__name="momentum", optim__lr=0.02),
    ],
)
def test_an_image_network_learns_the_same_on_eight_devices_as_on_one(changes):
    one, many = (
        build("configs/lenet_fashion_mnist.py", parallel__devices=n, seeds=(0,), **changes)
        for n in (1, 8)
    )
    np.testing.assert_allclose(losses(many, 10)[0], losses(one, 10)[0], rtol=1e-5)


def test_replicas_are_bit_equal_on_every_device_after_three_steps():
    _, _, (state, _) = losses(build(parallel__devices=8, model__dropout=0.3), 3)
    for leaf in jax.tree.leaves(state):
        shards = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(shards) == 8
        assert all(shard.tobytes() == shards[0].tobytes() for shard in shards)


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_a_seed_alone_gives_the_bits_that_it_gives_in_a_group_by_map(at_a_time):
    alone, group = (
        build(parallel__devices=1, model__dropout=0.3, seeds=s) for s in ((3,), (0, 3, 5))
    )
    alone, group = (trained(e, 8, at_a_time=at_a_time) for e in (alone, group))
    assert differ(alone, jax.tree.map(lambda x: x[1:2], group)) == 0


def test_a_convolutional_seed_alone_gives_the_bits_that_it_gives_in_a_group_by_map():
    alone, group = (
        build("configs/lenet_fashion_mnist.py", parallel__devices=1, seeds=s)
        for s in ((2,), (0, 1, 2))
    )
    assert differ(trained(alone, 4), jax.tree.map(lambda x: x[2:], trained(group, 4))) == 0


def test_vmap_over_seeds_gives_what_map_gives():
    by_map, by_vmap = (
        build(parallel__seeds=how, model__dropout=0.3, seeds=(0, 3, 5)) for how in ("map", "vmap")
    )
    np.testing.assert_allclose(losses(by_vmap, 20)[0], losses(by_map, 20)[0], rtol=1e-5)


def test_steps_in_one_dispatch_give_the_bits_of_steps_one_by_one():
    assert differ(trained(build(), 12, at_a_time=1), trained(build(), 12, at_a_time=4)) == 0


def test_dropout_differs_between_seeds_and_between_steps():
    e = build(model__dropout=0.5)
    e = dataclasses.replace(e, model=e.model.clone(axis_name=None))
    state, batch = jax.tree.map(lambda x: x[0], fresh_state(e)), e.example_batch()

    @jax.jit
    def loss(at, seed):
        return step.gradients(state.replace(step=at), batch, seed, experiment=e, axis=None)[1][
            "loss"
        ]

    assert len({float(loss(at, seed)) for at in (0, 1) for seed in (0, 1)}) == 4


class Tagger(nn.Module):
    """One logit vector per step, with batch statistics: the smallest network with all of the
    state's parts."""

    @nn.compact
    def __call__(self, x, mask, *, train):
        mean = self.variable("batch_stats", "mean", lambda: np.zeros(x.shape[-1], np.float32))
        if train:
            mean.value = 0.9 * mean.value + 0.1 * x.mean((0, 1))
        return nn.Dense(4)(x)


def tagging(devices: int):
    """Sequences of very unequal length: the first half of the batch has one valid step, the second
    half twelve."""
    rng = np.random.default_rng(0)
    arrays = dict(
        x=rng.normal(size=(16, 12, 5)).astype(np.float32),
        y=rng.integers(0, 4, (16, 12)).astype(np.int32),
        n=np.where(np.arange(16) < 8, 1, 12),
    )

    def make(arrays, index, keys):
        return dict(
            input=arrays["x"][index],
            target=arrays["y"][index],
            mask=np.arange(12) < arrays["n"][index][:, None],
        )

    source = Source(16, arrays, make)
    e = build(
        data__batch_size=16,
        parallel__devices=devices,
        optim__name="sgd",
        optim__lr=1.0,
        optim__clip_norm=None,
    )
    data = Dataset("sequence", "classes", 4, source, {"test": source}, "", {})
    return dataclasses.replace(e, model=Tagger(), task=TASKS["classify"](), dataset=data), arrays


def test_sums_weigh_uneven_token_counts_by_tokens_and_not_by_device():
    e, arrays = tagging(8)
    state = step.init(e, 0)
    valid = np.arange(12) < arrays["n"][:, None]

    def mean_over_tokens(params):
        logits = e.model.apply(
            {"params": params, **state.model_state}, arrays["x"], valid, train=False
        )
        log_p = jnp.take_along_axis(nn.log_softmax(logits), arrays["y"][..., None], -1)[..., 0]
        return -(log_p * valid).sum() / valid.sum()

    grads = jax.grad(mean_over_tokens)(state.params)
    expected = jax.tree.map(lambda p, g: p - g, state.params, grads)
    assert differ(jax.tree.map(lambda x: x[0], trained(e, 1)), expected) < 1e-6


def test_batch_statistics_are_those_of_the_whole_batch_on_every_device():
    states = []
    for devices in (1, 8):
        _, program, carry = losses(tagging(devices)[0], 3)
        states.append(program.state(carry).model_state)
        shards = carry[0].model_state["batch_stats"]["mean"].addressable_shards
        assert all(np.array_equal(shard.data, shards[0].data) for shard in shards)
    assert differ(*states) < 1e-6


@pytest.mark.parametrize(
    ("devices", "seeds"), [(1, "map"), (3, "vmap"), (8, "map"), (2, "devices")]
)
def test_evaluation_counts_each_example_once_on_any_number_of_devices(devices, seeds):
    e = build(parallel__devices=devices, parallel__seeds=seeds, seeds=(0, 1), eval__batch_size=13)
    program = Program(e)
    _, sums = program.evaluate(program.start(fresh_state(e)), "test")
    assert program.fetch(sums)["count"].tolist() == [50, 50]


def test_evaluation_is_the_same_for_any_batch_size_and_device_count():
    totals = []
    for devices, size in ((1, 50), (8, 16), (3, 7)):
        e = build(parallel__devices=devices, eval__batch_size=size)
        program = Program(e)
        _, sums = program.evaluate(program.start(fresh_state(e)), "test")
        totals.append(float(program.fetch(sums)["loss"][0]))
    assert totals == pytest.approx([totals[0]] * 3, rel=1e-5)


def test_a_step_without_the_reduction_over_devices_would_be_seen_by_these_tests():
    """The check on the checks: replicas do drift apart when the axis is left out."""
    e = build(parallel__devices=8)
    program = Program(e)
    batch = jax.pmap(
        lambda state, index, key: step.train_step(
            jax.tree.map(lambda x: x[0], state),
            e.dataset.train.batch(
                {},
                dict(index=index, valid=index == 0),
                key,
                jax.lax.axis_index(AXIS) * 3 + jnp.arange(3),
            ),
            np.int32(0),
            experiment=e,
            axis=None,
        )[0],
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=None,
    )
    state = batch(program.start(fresh_state(e))[0], np.zeros([8, 3], np.int32), jax.random.key(0))
    leaf = jax.tree.leaves(state.params)[0]
    assert len({np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards}) > 1
