"""Tasks and metrics: losses by their equations, totals divided once."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train.metrics import finish, merge
from train.tasks import TASKS


def test_an_error_is_the_share_of_wrong_answers_in_percent_over_merged_totals():
    batches = [dict(loss=6.0, count=4, correct=3), dict(loss=0.0, count=1, correct=0)]
    metrics = finish(merge(*[{k: np.array([v, v]) for k, v in batch.items()} for batch in batches]))
    assert metrics["error"].tolist() == [40.0, 40.0] and metrics["loss"].tolist() == [1.2, 1.2]


def test_a_padded_example_counts_neither_in_the_loss_nor_in_the_error():
    logits, target = jnp.array([[2.0, 0.0], [0.0, 9.0]]), jnp.array([0, 0])
    for mask in (jnp.array([True, False]), jnp.array([[True, False], [False, False]])):  # of examples, of time steps
        sums = TASKS["classify"]().sums(logits, dict(target=target, mask=mask))
        assert (int(sums["count"]), int(sums["correct"])) == (1, 1)
        assert float(sums["loss"]) == pytest.approx(np.log(1 + np.exp(-2)), rel=1e-5)


def test_squared_errors_are_averaged_over_an_examples_outputs_and_summed_over_examples():
    batch = dict(target=jnp.zeros([3, 2]), mask=jnp.array([True, True, False]))
    sums = TASKS["regress"]().sums(jnp.array([[1.0, 3.0], [2.0, 0.0], [9.0, 9.0]]), batch)
    assert (float(sums["squared_error"]), int(sums["count"])) == (7.0, 2)


def test_label_smoothing_is_the_cross_entropy_of_smoothed_targets():
    logits, target = jnp.array([[1.0, -2.0, 0.5]]), jnp.array([2])
    sums = TASKS["classify"](label_smoothing=0.3).sums(logits, dict(target=target, mask=jnp.array([True])))
    expected = optax.softmax_cross_entropy(logits, jnp.array([[0.1, 0.1, 0.8]]))[0]
    assert float(sums["loss"]) == pytest.approx(float(expected), rel=1e-6)


def test_the_map_loss_of_1998_becomes_cross_entropy_as_j_grows():
    batch = dict(target=jnp.array([2]), mask=jnp.array([True]))
    logits = jnp.array([[-3.0, -1.0, -0.5]])
    cross_entropy = TASKS["classify"]().sums(logits, batch)["loss"]
    losses = [float(TASKS["classify_rbf"](j=j).sums(logits, batch)["loss"]) for j in (0.1, 50.0)]
    assert losses[1] == pytest.approx(float(cross_entropy), rel=1e-6)
    assert losses[0] == pytest.approx(0.5 + np.log(np.exp(-0.1) + np.exp(-3) + np.exp(-1) + np.exp(-0.5)), rel=1e-6)


def test_each_auxiliary_head_adds_its_weighted_loss_and_no_errors():
    right, wrong = jnp.array([[3.0, 0.0]]), jnp.array([[0.0, 3.0]])
    batch, task = dict(target=jnp.array([0]), mask=jnp.array([True])), TASKS["classify"](auxiliary_weight=0.3)
    alone, heads = task.sums(right, batch), task.sums((right, wrong, wrong), batch)
    assert float(heads["loss"]) == pytest.approx(float(alone["loss"]) + 0.6 * np.log(1 + np.exp(3)), rel=1e-5)
    assert int(heads["correct"]) == 1
