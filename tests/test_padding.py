"""What stands in padding, NaN or a number out of range, gets into no value and no gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures
from architectures.attention import SCORES, Attention
from architectures.cells import GRUCell, LSTMCell
from architectures.recurrent import Recurrent
from train.tasks import PAD, TASKS

MASK = np.arange(6) < np.array([6, 3, 0])[:, None]  # whole, padded, and empty
RNG = np.random.default_rng(0)


def with_padding(x, content):
    """x [3, 6, ...] with this where the mask is False."""
    return np.where(MASK.reshape(3, 6, *[1] * (x.ndim - 2)), x, content).astype(x.dtype)


def bad(x):
    """NaN in the padding; of whole numbers, one that is too large."""
    return with_padding(x, np.nan if x.dtype.kind == "f" else 10**6)


def same_gradients(loss, clean, dirty):
    """Both values, and all gradients of the first argument, have the same bits and are finite."""
    gradients = jax.jit(jax.value_and_grad(loss))
    one, two = gradients(*clean), gradients(*dirty)
    for a, b in zip(*map(jax.tree.leaves, (one, two)), strict=True):
        assert np.isfinite(b).all() and np.array_equal(a, b)


LAYERS = {
    "plain": Recurrent(LSTMCell(4), scan="plain"),
    "fused": Recurrent(LSTMCell(4)),
    "reset before": Recurrent(GRUCell(4, reset="before"), reverse=True),
    "recomputed": Recurrent(LSTMCell(4), remat=4),
}


@pytest.mark.parametrize("name", LAYERS)
def test_nan_in_padding_changes_neither_what_recurrent_layers_give_nor_their_gradients(name):
    layer, x = LAYERS[name], RNG.normal(size=(3, 6, 2)).astype(np.float32)

    def loss(variables, x):
        carry, y = layer.apply(variables, x, MASK)
        return jnp.sin(y).sum() + sum(jnp.cos(leaf).sum() for leaf in jax.tree.leaves(carry))

    variables = layer.init(jax.random.key(0), x, MASK)
    same_gradients(loss, (variables, with_padding(x, 0)), (variables, bad(x)))


@pytest.mark.parametrize("score", SCORES)
def test_nan_in_padded_keys_changes_neither_attention_nor_its_gradients(score):
    layer = Attention(4, score, hidden=3)
    keys, query = RNG.normal(size=(2, 3, 6, 4)).astype(np.float32)
    steps = np.tile(np.arange(6), (3, 1))

    def attend(layer, query, keys):
        return layer(query, *layer.prepare(keys, MASK), MASK, steps)

    def loss(variables, keys):
        context, weights = layer.apply(*variables, keys, method=attend)
        return jnp.sin(context).sum() + jnp.cos(weights).sum()

    variables = layer.init(jax.random.key(0), query, keys, method=attend), query
    same_gradients(loss, (variables, with_padding(keys, 0)), (variables, bad(keys)))


VECTORS = RNG.normal(size=(3, 6, 2)).astype(np.float32)
SYMBOLS = RNG.integers(4, 7, size=(3, 6)).astype(np.int32)
NETWORKS = [
    ("tagger", dict(directions="forward", delay=2, hidden=4)),
    ("lstm1997", dict(shortcut=True)),
    ("lstm1997", dict(shortcut=True, every_step=True)),
]


@pytest.mark.parametrize(("name", "switches"), NETWORKS)
def test_nan_in_padding_changes_neither_what_a_network_gives_nor_its_gradients(name, switches):
    network = architectures.build(name, outputs=3, dtype=jnp.float32, axis_name=None, **switches)

    def loss(params, x):
        y = network.apply({"params": params}, x, MASK, train=False)
        rows = MASK.any(axis=1)
        return jnp.sin(y).sum(where=MASK[..., None] if y.ndim == 3 else rows[:, None])

    params = network.init(jax.random.key(0), VECTORS, MASK, train=False)["params"]
    same_gradients(loss, (params, with_padding(VECTORS, 0)), (params, bad(VECTORS)))


def test_symbols_out_of_range_in_padding_change_neither_a_pairs_loss_nor_its_gradients():
    network = architectures.build(
        "seq2seq", outputs=7, symbols=7, hidden=4, dtype=jnp.float32, axis_name=None
    )

    def loss(params, pair):
        outputs = network.apply({"params": params}, pair, MASK, train=False)
        return TASKS["transduce"]().sums(outputs, dict(input=pair, mask=MASK))["loss"]

    clean = dict(source=with_padding(SYMBOLS, 0), target=with_padding(SYMBOLS, PAD))
    row = MASK.any(axis=1)[:, None]  # without a source a pair is empty, whatever its target
    dirty = dict(source=bad(SYMBOLS), target=np.where(row, clean["target"], 10**6))
    params = network.init(jax.random.key(0), clean, MASK, train=False)["params"]
    same_gradients(loss, (params, clean), (params, dirty))


LOSSES = {  # task -> its options, and the targets of each time step; None: one of each sequence
    "classify": (dict(label_smoothing=0.1), "classes"),
    "classify_rbf": ({}, None),
    "language_model": ({}, "classes"),
    "regress": (dict(criterion="cross_entropy", tolerance=0.1), "reals"),
}
TARGETS = {
    "classes": RNG.integers(3, size=(3, 6)),
    "reals": RNG.random(size=(3, 6, 3)).astype(np.float32),
}


@pytest.mark.parametrize("name", LOSSES)
def test_nan_in_padded_outputs_and_targets_changes_neither_a_loss_nor_its_gradient(name):
    options, kind = LOSSES[name]
    outputs = RNG.normal(size=(3, 6, 3)).astype(np.float32)
    if kind:
        clean, dirty = with_padding(TARGETS[kind], 0), bad(TARGETS[kind])
        wrong = bad(outputs)
    else:
        outputs = outputs[:, 0]
        clean, dirty = np.array([0, 2, 0]), np.array([0, 2, -100])
        wrong = np.where(MASK.any(axis=1)[:, None], outputs, np.nan)
    task = TASKS[name](**options)

    def loss(outputs, target):
        return task.sums(outputs, dict(target=target, mask=MASK))["loss"]

    same_gradients(loss, (outputs, clean), (wrong, dirty))
