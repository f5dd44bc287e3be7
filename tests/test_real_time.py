"""Real-time recurrent learning: an update a time step, and the gradient that back-propagation
through time would give."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import build, refused

from train import real_time, step
from train.loop import fresh_state

TABLE = "configs/papers/lstm1997/embedded_reber.py:small/"
NETWORKS = ("3 blocks of 2 at 0.1", "RTRL with 12 units at 0.1")


def one_sequence(row, real_time: bool, lr: float, keep: int | None = None):
    """The state before and after a sequence, of which `keep` steps are valid, and its batch."""
    keys = {
        "seeds": (3,),
        "optim.real_time": real_time,
        "parallel.devices": 1,
        "optim.lr": lr,
        "model.init_scale": 1.0,
    }
    e = build(TABLE + row, **keys)
    before, batch = jax.tree.map(lambda x: jnp.asarray(x[0]), fresh_state(e)), e.example_batch()
    if keep:
        batch |= dict(mask=batch["mask"] & (jnp.arange(batch["mask"].shape[1]) < keep))
    after, sums = jax.jit(lambda s, b: step.train_step(s, b, 3, experiment=e, axis=None))(
        before, batch
    )
    return before.params, after.params, batch, sums


@pytest.mark.parametrize("row", NETWORKS)
def test_small_updates_add_up_to_the_gradient_of_back_propagation_through_time(row):
    lr = 1e-2
    _, whole, _, of_whole = one_sequence(row, False, lr)
    start, after, _, sums = one_sequence(row, True, lr)
    for a, b, c in zip(*map(jax.tree.leaves, (start, whole, after)), strict=True):
        # weights change on the way
        np.testing.assert_allclose(c - a, b - a, rtol=0.05, atol=0.02 * lr)
    assert sums["count"] == of_whole["count"] == 1 and float(sums["loss"]) == pytest.approx(
        float(of_whole["loss"]), rel=0.05
    )


def test_each_step_learns_from_its_own_error_with_the_weights_that_the_one_before_left():
    """Williams & Zipser 1989, eq. 8 to 11, of logistic units h and outputs y, step by step."""
    lr, steps = 2.0, 4
    start, after, batch, _ = one_sequence(NETWORKS[1], True, lr, keep=steps)
    cell, head = (dict(tree) for tree in (start["layers"]["layer_1"]["cell"], start["head"]))
    x, d = (np.asarray(batch[name][0], float) for name in ("input", "target"))
    W, U, b = (np.asarray(cell[name], float) for name in ("input", "recurrent", "bias"))
    V, c = (np.asarray(head[name], float) for name in ("kernel", "bias"))
    units = len(b)
    # p: dh_k by the weight from row i to unit j
    h, p = np.zeros(units), np.zeros([units, len(W) + units + 1, units])

    def sigma(net):
        return 1 / (1 + np.exp(-net))

    for t in range(steps):
        seen, h = np.concatenate([x[t], h, [1.0]]), sigma(x[t] @ W + h @ U + b)
        direct = np.einsum("i,jk->kij", seen, np.eye(units))
        p = (h * (1 - h))[:, None, None] * (np.einsum("lk,lij->kij", U, p) + direct)
        y = sigma(h @ V + c)
        delta = (y - d[t]) * y * (1 - y)
        of_all = np.einsum("k,kij->ij", V @ delta, p)
        V, c = V - lr * np.outer(h, delta), c - lr * delta
        W, U, b = W - lr * of_all[: len(W)], U - lr * of_all[len(W) : -1], b - lr * of_all[-1]
    found = after["layers"]["layer_1"]["cell"], after["head"]
    for mine, theirs in (
        (W, found[0]["input"]),
        (U, found[0]["recurrent"]),
        (V, found[1]["kernel"]),
        (c, found[1]["bias"]),
    ):
        np.testing.assert_allclose(theirs, mine, atol=1e-4)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_draws_anew_at_each_time_step_unless_it_is_variational(variational):
    keys = {
        "seeds": (3,),
        "optim.real_time": True,
        "parallel.devices": 1,
        "model.dropout": 0.5,
        "model.variational": variational,
    }
    e = build(TABLE + NETWORKS[1], **keys)
    state, batch = jax.tree.map(lambda x: jnp.asarray(x[0]), fresh_state(e)), e.example_batch()
    alike = batch | dict(
        input=jnp.ones_like(batch["input"]),
        mask=jnp.ones_like(batch["mask"]),
        target=batch["target"] * 0,
    )
    still = dataclasses.replace(e, optimizer=e.optimizer._replace(update=optax.set_to_zero()))
    without_recurrence = jax.tree_util.tree_map_with_path(
        lambda path, x: x * (path[-1].key != "recurrent"), state.params
    )
    state = state.replace(
        params=without_recurrence, opt_state=still.optimizer.update.init(state.params)
    )
    *_, outputs = real_time.updates(state, alike, jnp.int32(3), experiment=still)
    # nothing else of a step is another
    assert (np.ptp(np.asarray(outputs[0, 1:]), axis=0).min() > 1e-3) != variational


@pytest.mark.parametrize(
    "changes, says",
    (
        ("data.batch_size=2", "of one sequence, but data.batch_size=2"),
        ("schedule.name=cosine", "needs schedule.name='constant'"),
        (
            "model.name=sequence_readout",
            "cannot go one step at a time; choose from lstm1997, tagger",
        ),
        ("model.directions=both", "running one step at a time needs directions='forward', delay=0"),
        (
            "task.criterion=cross_entropy",
            "is of logits, not of 'logistic' outputs; set model.output='linear'",
        ),
        ("data.name=two_sequence", "needs a target every time step"),
    ),
)
def test_what_cannot_go_one_step_at_a_time_or_has_no_logits_is_refused(changes, says):
    row = NETWORKS["model.dir" in changes]
    assert says in refused(
        f"--config={TABLE}{row}", "--config.optim.real_time=true", f"--config.{changes}"
    )
