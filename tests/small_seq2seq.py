"""Small Seq2Seqs of every kind and what they are asked, for several test files."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import architectures

KEY = jax.random.key(0)
LENGTHS = np.array([6, 3, 5, 1])
SOURCE = np.asarray(jax.random.randint(KEY, (4, 6), 4, 10))
MASK = np.arange(6) < LENGTHS[:, None]
TARGET = np.array([[4, 5, 6, 7, 8], [8, 4, 7, 5, 6], [5, 6, 8, 4, 7], [6, 8, 4, 7, 5]])
INPUTS = dict(source=jnp.asarray(SOURCE), target=jnp.asarray(TARGET))

VARIANTS = {
    "Luong": {},
    "Sutskever": dict(attention="none", directions="forward", bridge="copy", layers=2),
    "Bahdanau": dict(attend="before", cell="gru_reset_before", bridge="backward"),
    "RNNencdec": dict(
        attend="before", attention="none", cell="gru", directions="forward", bridge="zeros"
    ),
    "dot, input feeding": dict(
        attention="dot", directions="forward", bridge="copy", input_feeding=True, layers=2
    ),
    "local-m": dict(attention="general", local="monotonic", window=1),
    "local-p, input feeding": dict(
        attention="general", local="predictive", window=2, input_feeding=True
    ),
    "location": dict(attention="location", max_source=9),
    "scheduled sampling": dict(attention="concat", scheduled_sampling=0.5),
}
EACH = pytest.mark.parametrize("name", VARIANTS)


def network(name, seed=0, scale=3.0):
    """The network and variables far from zero, so that it says something."""
    model = architectures.build("seq2seq", outputs=9, symbols=10, hidden=8, **VARIANTS[name])
    variables = jax.jit(lambda key: model.init(key, INPUTS, MASK, train=False))(
        jax.random.key(seed)
    )
    return model, jax.tree.map(lambda p: p * scale, variables)


# kept from call to call, as one test asks for hundreds
@functools.partial(jax.jit, static_argnums=0)
def logits(model, variables, inputs=INPUTS, mask=MASK):
    return model.apply(variables, inputs, mask, train=False)
