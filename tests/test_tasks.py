"""Tasks and metrics: losses by their equations, totals divided once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from train.metrics import finish, merge
from train.tasks import EOS, PAD, TASKS, nearest_reference


def test_an_error_is_the_share_of_wrong_answers_in_percent_over_merged_totals():
    batches = [dict(loss=6.0, count=4, correct=3), dict(loss=0.0, count=1, correct=0)]
    metrics = finish(merge(*[{k: np.array([v, v]) for k, v in batch.items()} for batch in batches]))
    assert metrics["error"].tolist() == [40.0, 40.0] and metrics["loss"].tolist() == [1.2, 1.2]


def test_a_padded_example_counts_neither_in_the_loss_nor_in_the_error():
    logits, target = jnp.array([[2.0, 0.0], [0.0, 9.0]]), jnp.array([0, 0])
    # of examples, of time steps
    for mask in (jnp.array([True, False]), jnp.array([[True, False], [False, False]])):
        sums = TASKS["classify"]().sums(logits, dict(target=target, mask=mask))
        assert (int(sums["count"]), int(sums["correct"])) == (1, 1)
        assert float(sums["loss"]) == pytest.approx(np.log(1 + np.exp(-2)), rel=1e-5)


def test_of_a_sequence_with_a_hundred_classes_the_top_five_count_once():
    logits = jnp.zeros([3, 100]).at[:, :5].set(1.0)
    mask = jnp.arange(7) < jnp.array([7, 4, 0])[:, None]
    sums = TASKS["classify"]().sums(logits, dict(target=jnp.array([0, 5, 0]), mask=mask))
    assert (int(sums["among5"]), int(sums["count"])) == (1, 2)


def test_squared_errors_are_averaged_over_an_examples_outputs_and_summed_over_examples():
    batch = dict(target=jnp.zeros([3, 2]), mask=jnp.array([True, True, False]))
    sums = TASKS["regress"]().sums(jnp.array([[1.0, 3.0], [2.0, 0.0], [9.0, 9.0]]), batch)
    assert (float(sums["squared_error"]), int(sums["count"])) == (7.0, 2)


def test_label_smoothing_is_the_cross_entropy_of_smoothed_targets():
    logits, target = jnp.array([[1.0, -2.0, 0.5]]), jnp.array([2])
    sums = TASKS["classify"](label_smoothing=0.3).sums(
        logits, dict(target=target, mask=jnp.array([True]))
    )
    expected = optax.softmax_cross_entropy(logits, jnp.array([[0.1, 0.1, 0.8]]))[0]
    assert float(sums["loss"]) == pytest.approx(float(expected), rel=1e-6)


def test_the_map_loss_of_1998_becomes_cross_entropy_as_j_grows():
    batch = dict(target=jnp.array([2]), mask=jnp.array([True]))
    logits = jnp.array([[-3.0, -1.0, -0.5]])
    cross_entropy = TASKS["classify"]().sums(logits, batch)["loss"]
    losses = [float(TASKS["classify_rbf"](j=j).sums(logits, batch)["loss"]) for j in (0.1, 50.0)]
    assert losses[1] == pytest.approx(float(cross_entropy), rel=1e-6)
    assert losses[0] == pytest.approx(
        0.5 + np.log(np.exp(-0.1) + np.exp(-3) + np.exp(-1) + np.exp(-0.5)), rel=1e-6
    )


def test_each_auxiliary_head_adds_its_weighted_loss_and_no_errors():
    right, wrong = jnp.array([[3.0, 0.0]]), jnp.array([[0.0, 3.0]])
    batch, task = (
        dict(target=jnp.array([0]), mask=jnp.array([True])),
        TASKS["classify"](auxiliary_weight=0.3),
    )
    alone, heads = task.sums(right, batch), task.sums((right, wrong, wrong), batch)
    assert float(heads["loss"]) == pytest.approx(
        float(alone["loss"]) + 0.6 * np.log(1 + np.exp(3)), rel=1e-5
    )
    assert int(heads["correct"]) == 1


def edit_distance(a, b):
    """Levenshtein, the textbook way."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def test_edits_are_the_levenshtein_distance_to_the_nearest_reference_and_its_length():
    rng = np.random.default_rng(0)

    def sequences(rows, most):
        return [rng.integers(4, 8, rng.integers(0, most + 1)).tolist() for _ in range(rows)]

    def padded(rows, width, end=False):
        return np.array([(row + [EOS] * end + [PAD] * width)[:width] for row in rows])

    said = sequences(200, 7)
    answers = [[rng.integers(4, 8, rng.integers(1, 7)).tolist(), *sequences(2, 6)] for _ in said]
    tokens, references = padded(said, 9, end=True), np.stack([padded(of, 6) for of in answers])
    edits, lengths = nearest_reference(jnp.asarray(tokens), jnp.asarray(references))
    for text, of, found, length in zip(said, answers, edits, lengths, strict=True):
        real = [of[0], *[answer for answer in of[1:] if answer]]
        distances = [edit_distance(text, answer) for answer in real]
        assert found == min(distances) and length == len(real[int(np.argmin(distances))])


def test_a_language_models_perplexity_is_of_tokens_whatever_its_loss_is_a_mean_over():
    rng = np.random.default_rng(0)
    logits, target = (
        jnp.asarray(rng.normal(size=(3, 4, 5))),
        jnp.asarray(rng.integers(0, 5, (3, 4))),
    )
    mask = jnp.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    nll = float(
        jnp.where(mask, optax.softmax_cross_entropy_with_integer_labels(logits, target), 0).sum()
    )
    for per, count in (("token", 6), ("row", 2)):
        sums = TASKS["language_model"](per=per).sums(logits, dict(target=target, mask=mask))
        metrics = finish(sums)
        assert metrics["loss"] == pytest.approx(nll / count, rel=1e-6)
        assert metrics["perplexity"] == pytest.approx(np.exp(nll / 6), rel=1e-6)
        assert metrics["bits"] == pytest.approx(nll / 6 / np.log(2), rel=1e-6)


def test_padding_of_a_target_and_rows_without_a_source_count_nowhere_in_transduction():
    logits = jnp.zeros([2, 3, 7])
    target = jnp.array([[4, EOS, PAD], [5, 6, EOS]])
    batch = dict(
        input=dict(target=target),
        mask=jnp.array([[True, True], [False, False]]),
        references=target[:, None, :2],
    )
    sums = TASKS["transduce"]().sums(
        dict(logits=logits, tokens=jnp.array([[4, 5, EOS], [4, 4, 4]])), batch
    )
    assert (
        int(sums["tokens"]),
        int(sums["sequences"]),
        int(sums["edits"]),
        int(sums["reference"]),
    ) == (2, 1, 1, 1)
    assert float(sums["loss"]) == pytest.approx(2 * np.log(7), rel=1e-6)
    assert int(TASKS["transduce"](per="sequence").sums(logits, batch)["count"]) == 1


def test_only_scored_steps_are_right_or_wrong_but_all_have_a_loss():
    logits = jnp.zeros([1, 4, 3]).at[:, :, 1].set(9.0)
    batch = dict(
        target=jnp.array([[1, 0, 1, 2]]),
        mask=jnp.ones([1, 4], bool),
        scored=jnp.array([[False, False, True, True]]),
    )
    metrics = finish(TASKS["classify"]().sums(logits, batch))
    assert metrics["error"] == 50.0 and metrics["loss"] == pytest.approx(4.5, abs=0.01)


def test_a_sequence_is_wrong_if_any_output_is_off_by_the_tolerance_or_a_legal_one_is_not_on_top():
    target = jnp.zeros([3, 2, 2])
    outputs = target.at[0, 1, 1].set(0.4).at[1, 1, 0].set(0.39).at[2, 0, 0].set(9.0)
    mask = jnp.array([[True, True], [True, True], [False, False]])
    sums = TASKS["regress"](tolerance=0.4).sums(outputs, dict(target=target, mask=mask))
    assert (int(sums["wrong"]), int(sums["sequences"])) == (1, 2)
    # of four valid steps with two outputs
    assert finish(sums)["mae"] == pytest.approx((0.4 + 0.39) / 8)
    first = dict(target=target, mask=mask, scored=jnp.array([[True, False]] * 3))
    assert int(TASKS["regress"](tolerance=0.4).sums(outputs, first)["wrong"]) == 0
    legal = jnp.array(
        [
            [[True, False], [False, True]],
            [[False, True], [True, False]],
            [[True, True], [True, True]],
        ]
    )
    said = jnp.array([[[0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.5, 0.5]], [[0.0, 0.0], [0.0, 0.0]]])
    sums = TASKS["regress"]().sums(said, dict(target=target, mask=mask, legal=legal))
    assert (int(sums["wrong"]), int(sums["sequences"])) == (1, 2)


def test_outputs_that_are_no_numbers_or_all_the_same_are_not_right():
    nothing, mask = jnp.full([4, 1, 2], jnp.nan), jnp.ones([4, 1], bool)
    batch = dict(target=jnp.zeros([4, 1, 2]), mask=mask)
    assert int(TASKS["regress"](tolerance=0.4).sums(nothing, batch)["wrong"]) == 4
    legal = jnp.array([[[True, False]]] * 4)
    assert int(TASKS["regress"]().sums(nothing, dict(batch, legal=legal))["wrong"]) == 4
    batch = dict(target=jnp.arange(100), mask=jnp.ones([100], bool))
    assert (
        finish(TASKS["classify"]().sums(jnp.full([100, 100], jnp.nan), batch))["top5_error"]
        == 100.0
    )
    assert finish(TASKS["classify"]().sums(jnp.zeros([100, 100]), batch))["top5_error"] == 95.0


def test_the_cosine_to_likelihoods_is_one_for_outputs_that_are_proportional_to_them():
    likely = jnp.array([[[0.5, 0.5], [1.0, 0.0]]])
    batch = dict(target=likely, mask=jnp.ones([1, 2], bool), likelihood=likely)
    metrics = finish(TASKS["regress"]().sums(likely * 0.5, batch))
    assert metrics["cosine"] == pytest.approx(1, rel=1e-6) and metrics["rms"] == pytest.approx(
        np.sqrt((0.125 + 0.25) / 4), rel=1e-5
    )


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("language_model", {"per": "x"}),
        ("transduce", {"per": "x"}),
        ("regress", {"tolerance": 0.0}),
    ],
)
def test_a_wrong_option_of_a_task_is_refused_with_its_name_first(task, options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        TASKS[task](**options)


def test_half_the_summed_squared_error_is_a_sequences_loss_and_leaves_the_mean_squared_error_what_it_is():
    rng = np.random.default_rng(0)
    outputs, target = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)  # [B, T, O] each
    mask = np.arange(5) < np.array([5, 2, 0])[:, None]  # the last sequence is a row of padding
    batch = dict(target=jnp.asarray(target), mask=jnp.asarray(mask))
    found = {
        c: finish(TASKS["regress"](criterion=c).sums(jnp.asarray(outputs), batch))
        for c in ("mean", "half_sum")
    }
    squared = ((outputs - target) ** 2)[mask]
    # half of it, over two sequences
    assert found["half_sum"]["loss"] == pytest.approx(squared.sum() / 2 / 2, rel=1e-5)
    assert (
        found["half_sum"]["mse"] == found["mean"]["mse"] == pytest.approx(squared.mean(), rel=1e-5)
    )
    with pytest.raises(
        ValueError, match="criterion: unknown 'sum'; choose from mean, half_sum, cross_entropy"
    ):
        TASKS["regress"](criterion="sum")


def test_top5_error_counts_targets_below_the_five_most_probable_of_100_classes():
    logits = jnp.tile(jnp.arange(100.0), (4, 1))
    batch = dict(target=jnp.array([99, 95, 94, 0]), mask=jnp.array([True, True, True, False]))
    sums = TASKS["classify"]().sums(logits, batch)
    assert finish(sums)["top5_error"] == pytest.approx(100 / 3)
    assert "top5_error" not in finish(
        TASKS["classify"]().sums(logits[:, :99], batch | dict(target=batch["target"] % 99))
    )


def test_by_cross_entropy_a_logistic_units_derivative_is_its_output_less_the_target_however_wrong_it_is_for_sure():
    logits = jnp.array([[[-40.0, 0.0, 3.0], [30.0, -1.0, 9.0]]])
    batch = dict(
        target=jnp.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 1.0]]]), mask=jnp.array([[True, False]])
    )
    task = TASKS["regress"](criterion="cross_entropy")
    derivative = jax.grad(lambda logits: task.sums(logits, batch)["loss"])(logits)
    np.testing.assert_allclose(
        derivative[0], [[-1.0, 0.5, 1 / (1 + np.exp(-3)) - 0.5], [0.0, 0.0, 0.0]], atol=1e-6
    )
    assert finish(task.sums(logits, batch))["mse"] == pytest.approx(
        (1 + 0.25 + (1 / (1 + np.exp(-3)) - 0.5) ** 2) / 3, rel=1e-5
    )
