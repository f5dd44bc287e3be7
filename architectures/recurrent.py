"""Unrolling a cell over time with nn.scan: masks, direction, stacks."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.layers import Dropout


class Recurrent(nn.Module):
    """Runs `cell` over x [B, T, I] with mask [B, T] bool; returns the final carry and the outputs [B, T, H].

    Where the mask is False the carry is held and the output is zero, so padding on either side changes nothing, and
    `reverse` runs from the last step to the first without flipping anything.
    """

    cell: nn.Module
    reverse: bool = False

    @nn.compact
    def __call__(self, x, mask):
        def step(cell, carry, inputs):
            x, valid = inputs  # [B, I], [B]
            new, y = cell(carry, x)
            carry = jax.tree.map(lambda n, old: jnp.where(valid[:, None], n, old), new, carry)
            return carry, jnp.where(valid[:, None], y, 0)

        scan = nn.scan(
            step, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1, reverse=self.reverse
        )
        return scan(self.cell, self.cell.initial_carry(x.shape[0]), (x, mask))


class Stack(nn.Module):
    """Layers on top of each other, with dropout between them (Zaremba et al. 2014); x [B, T, I], mask [B, T].

    Returns the final carry of the top layer and its outputs [B, T, H].
    """

    cells: tuple[nn.Module, ...]
    dropout: float = 0.0
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        for layer, cell in enumerate(self.cells):
            if layer:
                x = Dropout(self.dropout, self.axis_name)(x, train=train)
            carry, x = Recurrent(cell)(x, mask)
        return carry, x
