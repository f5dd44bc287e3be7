"""Decoding: greedy, drawn and by beam search find what they should, whatever else is in the
batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from small_seq2seq import EACH, KEY, LENGTHS, MASK, SOURCE, logits, network

from architectures import decoding
from train.tasks import BOS, EOS, PAD


def search(model, variables, source=SOURCE, mask=MASK, **options):
    return jax.jit(lambda v: decoding.beam_search(model, v, source, mask, **options))(variables)


def log_probability(model, variables, row, tokens):
    """Of an output of the row's source, EOS included."""
    inputs = dict(source=SOURCE[row : row + 1], target=np.array([tokens]))
    log_p = np.array(jax.nn.log_softmax(logits(model, variables, inputs, MASK[row : row + 1])))[0]
    return float(sum(log_p[t, token] for t, token in enumerate(tokens)))


@EACH
def test_one_beam_is_the_greedy_decode(name):
    model, variables = network(name)
    greedy = jax.jit(lambda v: decoding.greedy(model, v, SOURCE, MASK, length=12))(variables)
    tokens, scores = search(model, variables, beams=1, length=12)
    np.testing.assert_array_equal(tokens[:, 0], greedy)
    for row in range(4):
        said = [int(t) for t in greedy[row] if t != PAD]
        assert scores[row, 0] == pytest.approx(
            log_probability(model, variables, row, said), abs=1e-3
        )


@pytest.mark.parametrize("name", ["Luong", "Bahdanau", "Sutskever"])
def test_a_beam_as_wide_as_all_outputs_finds_the_most_probable_one(name):
    model, variables = network(name)
    tokens, scores = search(model, variables, beams=60, length=2)
    for row in range(4):
        every = [[EOS]] + [[a, b] for a in (3, 4, 5, 6, 7, 8) for b in (2, 3, 4, 5, 6, 7, 8)]
        best = max(every, key=lambda said: log_probability(model, variables, row, said))
        assert [int(t) for t in tokens[row, 0] if t != PAD] == best
        assert scores[row, 0] == pytest.approx(
            log_probability(model, variables, row, best), abs=1e-3
        )


def test_outputs_come_best_first_are_all_different_and_scored_by_their_length():
    model, variables = network("Luong", scale=2.0)
    plain, normed = (
        search(model, variables, beams=5, length=10, length_norm=alpha) for alpha in (0.0, 1.0)
    )
    for tokens, scores in (plain, normed):
        assert (np.diff(scores, axis=1) <= 0).all()
        assert all(len({row.tobytes() for row in np.asarray(of)}) == 5 for of in tokens)
    for row, of in enumerate(np.asarray(normed[0])):
        for said, score in zip(of, normed[1][row], strict=True):
            said = [int(t) for t in said if t != PAD]
            expected = log_probability(model, variables, row, said) / ((5 + len(said)) / 6)
            assert score == pytest.approx(expected, abs=1e-3)


@EACH
def test_what_else_is_in_the_batch_does_not_change_a_decode(name):
    model, variables = network(name)
    together = search(model, variables, beams=3)
    for row in (1, 3):
        n = LENGTHS[row]
        alone = search(
            model, variables, SOURCE[row : row + 1, :n], MASK[row : row + 1, :n], beams=3
        )
        np.testing.assert_array_equal(alone[0][0], together[0][row][:, : 2 * n + 10])
        assert not together[0][row][:, 2 * n + 10 :].any()
        close(alone[1][0], together[1][row])


def test_an_ensemble_averages_probabilities():
    model, one = network("Luong")
    other = network("Luong", seed=1)[1]
    source, mask = SOURCE[:1], MASK[:1]

    def first(variables):
        networks = decoding._Ensemble(model, variables)
        encoded, memories = networks.encode(source, mask)
        return jnp.exp(networks.step(encoded, memories, jnp.array([BOS]))[1])

    both = (first(one) + first(other)) / 2
    close(first((one, other)), both)
    np.testing.assert_array_equal(
        search(model, (one, one), beams=3)[0], search(model, one, beams=3)[0]
    )


def test_drawn_outputs_follow_the_distribution_and_the_row_key():
    model, variables = network("Luong", scale=1.0)
    source, mask = np.tile(SOURCE[:1], (4000, 1)), np.tile(MASK[:1], (4000, 1))
    keys = jax.random.split(KEY, 4000)
    drawn = np.asarray(
        jax.jit(lambda k: decoding.sample(model, variables, source, mask, k, length=2))(keys)
    )
    encoded = model.apply(variables, source[:1], mask[:1], method="encode")
    _, step, _ = model.apply(
        variables,
        encoded,
        model.apply(variables, encoded, method="begin"),
        jnp.array([BOS]),
        method="step",
    )
    p = np.array(jax.nn.softmax(step[0].at[: BOS + 1].set(-jnp.inf)))
    close(np.bincount(drawn[:, 0], minlength=9) / 4000, p, 0.03)
    again = np.asarray(
        jax.jit(lambda k: decoding.sample(model, variables, source[:1], mask[:1], k, length=2))(
            keys[7:8]
        )
    )
    np.testing.assert_array_equal(again[0], drawn[7])
