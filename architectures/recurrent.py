"""Unrolling cells over time: masks, direction, layers.

Sequences are x [B, T, I] with mask [B, T] bool. Where the mask is False the input is not read, the
carry does not change and the output is zero. So padding on either side, whatever its length and
content (even NaN), changes neither values nor gradients. A scan from the last step to the first
needs no flipping.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.cells import Cell
from architectures.layers import Dropout, choose, flat, masked


def last_step(x, mask):
    """x [B, T, ...] at the last valid step, [B, ...]."""
    last = x.shape[1] - 1 - jnp.argmax(mask[:, ::-1], axis=1)
    return jnp.take_along_axis(x, last.reshape(-1, 1, *[1] * (x.ndim - 2)), axis=1)[:, 0]


def held(valid, new, old):
    """The new carry, or the old one in the rows where valid [B] is False."""
    return jax.tree.map(lambda n, o: jnp.where(valid[:, None], n, o), new, old)


def handed_on(module, run):
    """Runs `run` from the stored carry, stores the new one, and returns the outputs.

    run(carry) -> (carry, outputs). The carry is the variable "now" of the module's collection
    "carry"; without that variable, run starts from None.
    """
    if not module.has_variable("carry", "now"):
        return run(None)[1]
    carry, outputs = run(module.get_variable("carry", "now"))
    module.put_variable("carry", "now", carry)
    return outputs


class Recurrent(nn.Module):
    """Runs `cell` over x [B, T, I] with mask [B, T].

    Returns the final carry and the outputs [B, T, H].

    symbols: I, if x is int32 [B, T]: the positions of the ones in one-hot vectors.
    carry: the initial carry; None for the cell's initial carry.
    reverse: run from the last step to the first.
    scan: "plain", an nn.scan of the cell that autodiff goes through; "fused", the same arithmetic,
      but each weight's gradient is one product over all steps.
    remat: time steps per chunk whose activations are recomputed in the backward pass, or 0.
    """

    cell: Cell
    reverse: bool = False
    scan: str = "fused"
    remat: int = 0
    symbols: int | None = None

    @nn.compact
    def __call__(self, x, mask, carry=None):
        carry = self.cell.initial_carry(x.shape[0]) if carry is None else carry
        w = self.cell.weights(self.symbols or x.shape[-1])
        xs = jnp.swapaxes(masked(x, mask), 0, 1), jnp.swapaxes(mask, 0, 1)
        fused = choose("scan", self.scan, dict(fused=True, plain=False))
        unroll = (
            (_fused if self.cell.one_product else _fused_reset_before) if fused else self._plain
        )

        def run(w, carry, xs):
            x, valid = xs
            return unroll(self.cell, w, carry, self.cell.project(w, x), valid, self.reverse)

        carry, outputs = (
            _in_chunks(run, w, carry, xs, self.remat, self.reverse)
            if self.remat
            else run(w, carry, xs)
        )
        return carry, jnp.swapaxes(outputs, 0, 1)

    @nn.nowrap
    def _plain(self, cell, w, carry, p, valid, reverse):
        def step(_, carry, inputs):
            p, valid = inputs
            new, y = cell.step(w, carry, p)
            return held(valid, new, carry), jnp.where(valid[:, None], y, 0)

        return nn.scan(step, reverse=reverse)(self, carry, (p, valid))


def _in_chunks(run, w, carry, xs, chunk: int, reverse: bool):
    """run(w, carry, xs) over chunks of time; backward keeps only the carries between them."""
    steps = xs[0].shape[0]
    short = -steps % chunk
    # padded steps are not valid
    xs = jax.tree.map(lambda a: jnp.pad(a, [(0, short)] + [(0, 0)] * (a.ndim - 1)), xs)
    chunks = jax.tree.map(lambda a: a.reshape(-1, chunk, *a.shape[1:]), xs)
    carry, outputs = jax.lax.scan(
        jax.checkpoint(lambda carry, xs: run(w, carry, xs)), carry, chunks, reverse=reverse
    )
    return carry, outputs.reshape(-1, *outputs.shape[2:])[:steps]


def _fused(cell, w, carry, p, valid, reverse):
    """The scan of cell.step over p [T, B, G] and valid [T, B], with a custom gradient.

    The forward scan keeps each step's pullback of the element-wise part. The backward scan gives
    only the gradients of the products q_t = u_t U. Then  dU = sum_t u_t^T dq_t  is one product over
    T * B rows.
    """
    recurrent = w["recurrent"]
    small = {name: value for name, value in w.items() if name not in ("input", "recurrent", "bias")}
    structure = []

    def forward(recurrent, small, carry, p, valid, *, keep: bool):
        def step(carry, inputs):
            p, valid = inputs
            u = cell.operand(carry)

            def elementwise(small, carry, p, q):
                new, y = cell.gates(small, carry, p, q)
                return held(valid, new, carry), jnp.where(valid[:, None], y, 0)

            q = cell.product(u, recurrent)
            if not keep:
                return elementwise(small, carry, p, q)
            out, pullback = jax.vjp(elementwise, small, carry, p, q)
            leaves, tree = jax.tree.flatten(pullback)
            structure[:] = [tree]
            return out[0], (out[1], u, leaves)

        return jax.lax.scan(step, carry, (p, valid), reverse=reverse)

    def keeping(recurrent, small, carry, p, valid):
        carry, (outputs, u, leaves) = forward(recurrent, small, carry, p, valid, keep=True)
        return (carry, outputs), (recurrent, u, leaves)

    def backward(kept, cotangents):
        recurrent, u, leaves = kept
        d_carry, d_outputs = cotangents
        _, to_operand = jax.vjp(
            lambda carry: cell.operand(carry), jax.tree.map(jnp.zeros_like, d_carry)
        )

        def step(totals, inputs):
            d_small, d_carry = totals
            leaves, dy = inputs
            more, d_carry, dp, dq = jax.tree.unflatten(structure[0], leaves)((d_carry, dy))
            if not cell.truncated:
                (through,) = to_operand(cell.product(dq, recurrent.T))
                d_carry = jax.tree.map(jnp.add, d_carry, through)
            return (jax.tree.map(jnp.add, d_small, more), d_carry), (dp, dq)

        zeros = jax.tree.map(jnp.zeros_like, small)
        (d_small, d_carry), (dp, dq) = jax.lax.scan(
            step, (zeros, d_carry), (leaves, d_outputs), reverse=not reverse
        )
        d_recurrent = _summed(u.astype(cell.dtype), dq.astype(cell.dtype)).astype(recurrent.dtype)
        return d_recurrent, d_small, d_carry, dp, None

    run = jax.custom_vjp(lambda *arguments: forward(*arguments, keep=False))
    run.defvjp(keeping, backward)
    return run(recurrent, small, carry, p, valid)


def _summed(u, d):
    """sum_tb u^T d for u [T, B, U] and d [T, B, G]; flat, as in layers.flat_product."""
    return flat(u).T @ flat(d)


def _fused_reset_before(cell, w, carry, p, valid, reverse):
    """As `_fused`, for a GRU whose reset gate comes before the second product.

    Both products are added to p, so their gradients equal p's. The backward scan treats the weights
    as constants, so it has no product for them.
    """

    def forward(recurrent, carry, p, valid):
        def step(h, inputs):
            p, valid = inputs
            new, reset = cell.reset_before(recurrent, h, p)
            return held(valid, new, h), (jnp.where(valid[:, None], new, 0), (h, reset))

        carry, (outputs, operands) = jax.lax.scan(step, carry, (p, valid), reverse=reverse)
        return (carry, outputs), operands

    def keeping(recurrent, carry, p, valid):
        out, pullback, operands = jax.vjp(
            lambda carry, p: forward(recurrent, carry, p, valid), carry, p, has_aux=True
        )
        return out, (recurrent, pullback, operands)

    def backward(kept, cotangents):
        recurrent, pullback, (h, reset) = kept
        d_carry, dp = pullback(cotangents)
        dq = jnp.split(dp.astype(cell.dtype), [2 * cell.hidden], axis=-1)
        each = [_summed(u.astype(cell.dtype), d) for u, d in zip((h, reset), dq, strict=True)]
        return jnp.concatenate(each, axis=-1).astype(recurrent.dtype), d_carry, dp, None

    run = jax.custom_vjp(lambda *arguments: forward(*arguments)[0])
    run.defvjp(keeping, backward)
    return run(w["recurrent"], carry, p, valid)


class Bidirectional(nn.Module):
    """Schuster & Paliwal 1997: one layer of `cell` per direction of time, not connected.

    merge: "concat" [B, T, 2H] or "sum" [B, T, H]. Returns ((forward carry, backward carry),
    outputs); the backward carry is the one after the first step.
    """

    cell: Cell
    merge: str = "concat"
    scan: str = "fused"
    remat: int = 0

    @nn.compact
    def __call__(self, x, mask, carry=None):
        merge = choose("merge", self.merge, MERGES)
        there, back = (None, None) if carry is None else carry
        cells = (self.cell.clone(parent=None) for _ in range(2))
        there, f = Recurrent(next(cells), False, self.scan, self.remat, name="forward")(
            x, mask, there
        )
        back, b = Recurrent(next(cells), True, self.scan, self.remat, name="backward")(
            x, mask, back
        )
        return (there, back), merge(f, b)


MERGES = dict(concat=lambda f, b: jnp.concatenate([f, b], axis=-1), sum=lambda f, b: f + b)


class Stack(nn.Module):
    """Layers of `cell` on top of each other: x [B, T, I], mask [B, T].

    Returns the final carries, one per layer, and the outputs. The layers are "layer_1", ...

    dropout: between layers (Zaremba et al. 2014), with a new mask at every time step, or with
      `variational` one mask for all steps (Gal & Ghahramani 2016).
    residual: adds a layer's input to its output, from the second layer on.
    directions: "forward", "backward", or "both", merged as in Bidirectional.
    """

    cell: Cell
    layers: int = 1
    directions: str = "forward"
    merge: str = "concat"
    dropout: float = 0.0
    variational: bool = False
    residual: bool = False
    scan: str = "fused"
    remat: int = 0
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, mask, carries=None, *, train: bool):
        both = choose("directions", self.directions, dict(forward=False, backward=False, both=True))
        finals = []
        for layer in range(self.layers):
            name = f"layer_{layer + 1}"
            if layer:
                shared = (0,) if self.variational else ()
                x = Dropout(self.dropout, self.axis_name, shared)(x, train=train)
            carry = None if carries is None else carries[layer]
            cell = self.cell.clone(parent=None)
            if both:
                run = Bidirectional(cell, self.merge, self.scan, self.remat, name=name)
            else:
                run = Recurrent(
                    cell, self.directions == "backward", self.scan, self.remat, name=name
                )
            carry, y = run(x, mask, carry)
            x = x + y if self.residual and layer else y
            finals.append(carry)
        return finals, x
