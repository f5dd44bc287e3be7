"""Networks over sequences: a stack of recurrent layers and a head."""

from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.cells import CELLS
from architectures.layers import Dropout, choose
from architectures.recurrent import Stack


class SequenceReadout(nn.Module):
    """One answer per sequence, from the state after its last valid step: x [B, T, I], mask [B, T] -> [B, outputs].

    cell: one of CELLS.  hidden: units of each of the `layers`.  dropout: between layers and before the head.
    Raises ValueError, one line, for an unknown cell or a size below 1.
    """

    outputs: int
    cell: str = "lstm"
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.0
    forget_bias: float = 1.0
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[str] = "sequence"

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        for name, size in dict(hidden=self.hidden, layers=self.layers).items():
            if size < 1:
                raise ValueError(f"{name}: {size} must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: {self.dropout} is outside [0, 1)")
        kind = choose("cell", self.cell, CELLS)
        names = [f"layer_{i + 1}" for i in range(self.layers)]
        cells = tuple(kind(self.hidden, self.forget_bias, self.dtype, name=name) for name in names)
        (_, h), _ = Stack(cells, self.dropout, self.axis_name)(x, mask, train=train)
        h = Dropout(self.dropout, self.axis_name)(h, train=train)
        return nn.Dense(self.outputs, dtype=self.dtype, name="head")(h).astype(jnp.float32)
