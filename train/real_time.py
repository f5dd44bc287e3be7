"""Real-time recurrent learning: an update after every time step, without going back in time.

Williams & Zipser 1989; Hochreiter & Schmidhuber 1997, appendix A.1, whose truncation is part of
the cell.
"""

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from train.state import DROPOUT, TrainState, stream
from train.tasks import Batch


def updates(state: TrainState, batch: Batch, seed: jax.Array, *, experiment):
    """Trains on one sequence [1, T, ...], with an update after each step.

    Returns the parameters and the optimizer's state after it, the sum of the gradients, and the
    outputs [1, T, O].

    The gradient at a step is that of this step's loss alone. The derivative of the carry c by the
    weights w, dc/dw [c, w], is carried from step to step:
    dc'/dw = partial c'/partial w + (partial c'/partial c) dc/dw,
    for weights that change on the way. Steps outside the mask change nothing.
    """
    model, task, update = experiment.model, experiment.task, experiment.optimizer.update.update
    key = stream(seed, state.step, DROPOUT)
    weights, tree = ravel_pytree(state.params)
    carry, tree_of_carry = ravel_pytree(model.initial_carry(1))

    def advance(w, carry, window, t):
        rngs = {
            "dropout": key if getattr(model, "variational", False) else jax.random.fold_in(key, t)
        }
        variables = {"params": tree(w), "carry": {"now": tree_of_carry(carry)}}
        outputs, new = model.apply(
            variables, window["input"], window["mask"], train=True, mutable=["carry"], rngs=rngs
        )
        return ravel_pytree(new["carry"])[0], outputs

    def step(before, now):
        window, t = now
        w, opt_state, carry, derivative, total = before

        def from_here(v):  # the new carry, the loss and the outputs of weights v near w
            new, outputs = advance(v, carry + derivative @ (v - w), window, t)
            sums = task.sums(outputs, window)
            return new, sums["loss"] / jnp.maximum(sums["count"], 1), outputs

        grads, outputs = jax.grad(lambda v: from_here(v)[1:], has_aux=True)(w)
        changes, new_opt_state = update(tree(grads), opt_state, tree(w))
        changed = ravel_pytree(optax.apply_updates(tree(w), changes))[0]
        after = (
            changed,
            new_opt_state,
            from_here(w)[0],
            jax.jacrev(lambda v: from_here(v)[0])(w),
            total + grads,
        )
        return jax.tree.map(
            lambda new, old: jnp.where(window["mask"][0, 0], new, old), after, before
        ), outputs[0, 0]

    windows = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1)[:, :, None], batch)  # [T, 1, 1, ...]
    start = (
        weights,
        state.opt_state,
        carry,
        jnp.zeros([carry.size, weights.size]),
        jnp.zeros_like(weights),
    )
    (weights, opt_state, _, _, total), outputs = jax.lax.scan(
        step, start, (windows, jnp.arange(batch["mask"].shape[1]))
    )
    return tree(weights), opt_state, tree(total), outputs[None]
