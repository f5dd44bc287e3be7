"""Initial weights of recurrent cells."""

import jax
import jax.numpy as jnp
from flax import linen as nn


def per_gate(gates: int, init):
    """An initialiser of [rows, gates * H] that draws each gate's [rows, H] separately."""

    def draw(key, shape, dtype=jnp.float32):
        return jnp.concatenate(
            [init(k, (shape[0], shape[1] // gates), dtype) for k in jax.random.split(key, gates)],
            axis=1,
        )

    return draw


def uniform(scale: float):
    """U(-scale, scale)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -scale, scale
    )


def identity(_, shape, dtype=jnp.float32):
    return jnp.eye(*shape, dtype=dtype)


ZEROS, ORTHOGONAL = nn.initializers.zeros, nn.initializers.orthogonal()
# name -> function of (H units, `init_scale`): initialisers of (input W, recurrent U, biases)
INITIALISERS = dict(
    orthogonal=lambda hidden, scale: (nn.initializers.glorot_uniform(), ORTHOGONAL, ZEROS),
    # Cho et al. 2014, appendix; scale 0.01
    cho=lambda hidden, scale: (nn.initializers.normal(scale), ORTHOGONAL, ZEROS),
    # Le et al. 2015; scale 0.001
    irnn=lambda hidden, scale: (nn.initializers.normal(scale), identity, ZEROS),
    normal=lambda hidden, scale: (nn.initializers.normal(scale),) * 2 + (ZEROS,),
    torch=lambda hidden, scale: (uniform(hidden**-0.5),) * 3,  # PyTorch's nn.RNN, nn.LSTM, nn.GRU
    # Hochreiter & Schmidhuber 1997: 0.1, 0.2; Sutskever et al. 2014: 0.08; Zaremba et al. 2014:
    # 0.1, 0.05, 0.04
    uniform=lambda hidden, scale: (uniform(scale),) * 3,
)
SCALED = ("cho", "irnn", "normal", "uniform")  # those that use `init_scale`
