"""Recurrence: a scan equals a loop, padding and devices without influence."""

import functools

import flax
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import architectures
from architectures.cells import LSTMCell
from architectures.layers import Dropout
from architectures.recurrent import Recurrent, Stack

KEY = jax.random.key(0)


LENGTHS = np.array([7, 4, 1])
CELL = LSTMCell(5)


def sequences(time=7):
    """x [3, T, 4] with large numbers in the padding, and its mask."""
    mask = np.arange(time) < LENGTHS[:, None]
    return jnp.where(mask[..., None], jax.random.normal(KEY, (3, time, 4)), 1e3), jnp.asarray(mask)


def recurrent(cell=CELL, reverse=False, **options):
    layer = Recurrent(cell, reverse, **options)
    return layer, layer.init(jax.random.key(2), *sequences())


def test_a_scan_equals_a_python_loop_over_the_equations():
    (layer, variables), x = recurrent(), sequences()[0]
    p = variables["params"]["cell"]
    c = h = np.zeros([3, 5], np.float32)
    outputs = []
    for t in range(7):
        i, f, g, o = jnp.split(x[:, t] @ p["input"] + h @ p["recurrent"] + p["bias"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        outputs.append(h)
    close(layer.apply(variables, x, jnp.ones([3, 7], bool)), ((c, h), jnp.stack(outputs, axis=1)))


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_does_not_change_the_final_state_and_its_outputs_are_zero(reverse):
    layer, variables = recurrent(reverse=reverse)
    x, mask = sequences()
    carry, outputs = layer.apply(variables, x, mask)
    assert not np.asarray(outputs)[~np.asarray(mask)].any()
    for row, length in enumerate(LENGTHS):
        alone = layer.apply(variables, x[row : row + 1, :length], jnp.ones([1, length], bool))
        here = jax.tree.map(lambda a, row=row: a[row : row + 1], (carry, outputs[:, :length]))
        close(here, alone)


def test_reverse_is_forward_over_the_flipped_sequence():
    layer, variables = recurrent()
    x, mask = sequences()[0], jnp.ones([3, 7], bool)
    carry, outputs = layer.apply(variables, x[:, ::-1], mask)
    close(Recurrent(CELL, reverse=True).apply(variables, x, mask), (carry, outputs[:, ::-1]))


def test_the_carry_is_float32_under_bfloat16_compute():
    layer, variables = recurrent(LSTMCell(5, dtype=jnp.bfloat16))
    carry, _ = layer.apply(variables, *sequences())
    assert [a.dtype for a in carry] == [jnp.float32] * 2


def test_an_lstm_starts_with_its_forget_bias_and_a_recurrent_matrix_orthogonal_per_gate():
    p = recurrent(LSTMCell(5, forget_bias=3.0))[1]["params"]["cell"]
    assert p["bias"].tolist() == [0] * 5 + [3] * 5 + [0] * 10
    for gate in jnp.split(p["recurrent"], 4, axis=1):
        close(gate.T @ gate, np.eye(5))
    assert p["input"].shape == (4, 20) and p["recurrent"].shape == (5, 20)


def test_a_stack_drops_only_between_its_layers():
    x, mask = sequences()
    one, two = (Stack(LSTMCell(5), n, dropout=0.5) for n in (1, 2))
    variables = one.init(KEY, x, mask, train=False)
    close(one.apply(variables, x, mask, train=True), one.apply(variables, x, mask, train=False))
    variables = two.init(KEY, x, mask, train=False)
    with pytest.raises(flax.errors.InvalidRngError):
        two.apply(variables, x, mask, train=True)


# dropout


def test_a_dropout_mask_is_the_same_on_one_device_and_split_over_eight():
    x = jnp.ones([16, 50])
    one = Dropout(0.3).apply({}, x, train=True, rngs={"dropout": KEY})
    split = jax.pmap(lambda x: Dropout(0.3, "d").apply({}, x, train=True, rngs={"dropout": KEY}), axis_name="d")
    np.testing.assert_array_equal(split(x.reshape(8, 2, 50)).reshape(16, 50), one)
    assert len(np.unique(np.asarray(one), axis=0)) == 16
    assert set(np.unique(np.asarray(one))) == {0, np.float32(1 / np.float32(0.7))}
    assert (np.asarray(one) == 0).mean() == pytest.approx(0.3, abs=0.06)


def test_a_model_with_dropout_gives_the_same_logits_on_one_device_and_split_over_eight():
    x, mask = jax.random.normal(KEY, (16, 6, 4)), jnp.ones([16, 6], bool)
    build = functools.partial(architectures.build, "sequence_readout", outputs=10, hidden=8, layers=2, dropout=0.5)
    variables = build().init(KEY, x, mask, train=False)

    def logits(x, mask, axis_name=None):
        return build(axis_name=axis_name).apply(variables, x, mask, train=True, rngs={"dropout": KEY})

    split = jax.pmap(functools.partial(logits, axis_name="d"), axis_name="d")
    close(split(x.reshape(8, 2, 6, 4), mask.reshape(8, 2, 6)).reshape(16, 10), logits(x, mask))


def test_dropout_does_nothing_in_evaluation():
    x = jnp.ones([4, 5])
    assert (Dropout(0.9).apply({}, x, train=False) == x).all()
