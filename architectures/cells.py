"""Recurrent cells: one time step each. Inputs x [B, I] and a carry, to the new carry and the output [B, H]."""

import jax
import jax.numpy as jnp
from flax import linen as nn


def per_gate(gates: int, init=None):
    """An initialiser of [rows, gates * H] that draws each gate's [rows, H] by itself (orthogonal by default)."""
    init = init or nn.initializers.orthogonal()

    def draw(key, shape, dtype=jnp.float32):
        return jnp.concatenate([init(k, (shape[0], shape[1] // gates), dtype) for k in jax.random.split(key, gates)], axis=1)

    return draw


class LSTMCell(nn.Module):
    """LSTM, Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.

    i, f, o = sigma(x W + h U + b), g = tanh(x W + h U + b);  c' = f * c + i * g;  h' = o * tanh(c').

    One fused matrix product each: parameters "input" W [I, 4H], "recurrent" U [H, 4H], "bias" b [4H], gates in the order
    i, f, g, o. forget_bias: what b starts with for f (Jozefowicz et al. 2015 recommend 1); the rest of b starts at 0.
    The carry (c, h) is float32 [B, H] each; `dtype` is that of the products.
    """

    hidden: int
    forget_bias: float = 1.0
    dtype: jnp.dtype = jnp.float32

    def initial_carry(self, batch: int):
        zeros = jnp.zeros([batch, self.hidden], jnp.float32)
        return zeros, zeros

    @nn.compact
    def __call__(self, carry, x):
        hidden, (c, h) = self.hidden, carry
        w = self.param("input", per_gate(4, nn.initializers.glorot_uniform()), (x.shape[-1], 4 * hidden))
        u = self.param("recurrent", per_gate(4), (hidden, 4 * hidden))
        b = self.param("bias", lambda _, shape: jnp.zeros(shape).at[hidden : 2 * hidden].set(self.forget_bias), (4 * hidden,))
        z = x.astype(self.dtype) @ w.astype(self.dtype) + h.astype(self.dtype) @ u.astype(self.dtype)  # [B, 4H]
        i, f, g, o = jnp.split(z.astype(jnp.float32) + b, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (c, h), h


CELLS = dict(lstm=LSTMCell)
