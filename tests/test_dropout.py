"""Dropout: one mask whatever the devices, one for all time steps where it is variational, and none
in evaluation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import architectures
from architectures.layers import Dropout

KEY = jax.random.key(0)


def test_a_dropout_mask_is_the_same_on_one_device_and_split_over_eight():
    x = jnp.ones([16, 50])
    one = Dropout(0.3).apply({}, x, train=True, rngs={"dropout": KEY})
    split = jax.pmap(
        lambda x: Dropout(0.3, "d").apply({}, x, train=True, rngs={"dropout": KEY}), axis_name="d"
    )
    np.testing.assert_array_equal(split(x.reshape(8, 2, 50)).reshape(16, 50), one)
    assert len(np.unique(np.asarray(one), axis=0)) == 16
    assert set(np.unique(np.asarray(one))) == {0, np.float32(1 / np.float32(0.7))}
    assert (np.asarray(one) == 0).mean() == pytest.approx(0.3, abs=0.06)


def test_variational_dropout_has_one_mask_for_all_time_steps_and_plain_dropout_has_not():
    x = jnp.ones([4, 6, 50])
    plain, variational = (
        np.asarray(Dropout(0.3, None, shared).apply({}, x, train=True, rngs={"dropout": KEY}))
        for shared in ((), (0,))
    )
    assert (variational == variational[:, :1]).all() and len(
        np.unique(variational[:, 0], axis=0)
    ) == 4
    assert not (plain == plain[:, :1]).all()


def test_a_model_with_dropout_gives_the_same_logits_on_one_device_and_split_over_eight():
    x, mask = jax.random.normal(KEY, (16, 6, 4)), jnp.ones([16, 6], bool)
    build = functools.partial(
        architectures.build, "sequence_readout", outputs=10, hidden=8, layers=2, dropout=0.5
    )
    variables = build().init(KEY, x, mask, train=False)

    def logits(x, mask, axis_name=None):
        return build(axis_name=axis_name).apply(
            variables, x, mask, train=True, rngs={"dropout": KEY}
        )

    split = jax.pmap(functools.partial(logits, axis_name="d"), axis_name="d")
    close(split(x.reshape(8, 2, 6, 4), mask.reshape(8, 2, 6)).reshape(16, 10), logits(x, mask))


def test_dropout_does_nothing_in_evaluation():
    x = jnp.ones([4, 5])
    assert (Dropout(0.9).apply({}, x, train=False) == x).all()
