"""Seq2Seq: attention by its equations, no look ahead, no look at padding, and decoding that finds what it should."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import architectures
from architectures import decoding
from architectures.attention import Attention
from architectures.seq2seq import kept
from train.tasks import BOS, EOS, PAD

KEY = jax.random.key(0)
LENGTHS = np.array([6, 3, 5, 1])
SOURCE = np.asarray(jax.random.randint(KEY, (4, 6), 4, 10))
MASK = np.arange(6) < LENGTHS[:, None]
TARGET = np.array([[4, 5, 6, 7, 8], [8, 4, 7, 5, 6], [5, 6, 8, 4, 7], [6, 8, 4, 7, 5]])
INPUTS = dict(source=jnp.asarray(SOURCE), target=jnp.asarray(TARGET))

VARIANTS = {
    "Luong": {},
    "Sutskever": dict(attention="none", directions="forward", bridge="copy", layers=2),
    "Bahdanau": dict(attend="before", cell="gru_reset_before", bridge="backward"),
    "RNNencdec": dict(attend="before", attention="none", cell="gru", directions="forward", bridge="zeros"),
    "dot, input feeding": dict(attention="dot", directions="forward", bridge="copy", input_feeding=True, layers=2),
    "local-m": dict(attention="general", local="monotonic", window=1),
    "local-p, input feeding": dict(attention="general", local="predictive", window=2, input_feeding=True),
    "location": dict(attention="location", max_source=9),
    "scheduled sampling": dict(attention="concat", scheduled_sampling=0.5),
}
EACH = pytest.mark.parametrize("name", VARIANTS)


def network(name, seed=0, scale=3.0):
    """The network and variables far from zero, so that it says something."""
    model = architectures.build("seq2seq", outputs=9, symbols=10, hidden=8, **VARIANTS[name])
    variables = jax.jit(lambda key: model.init(key, INPUTS, MASK, train=False))(jax.random.key(seed))
    return model, jax.tree.map(lambda p: p * scale, variables)


def logits(model, variables, inputs=INPUTS, mask=MASK):
    return jax.jit(lambda v, i, m: model.apply(v, i, m, train=False))(variables, inputs, mask)


@EACH
def test_step_by_step_the_decoder_says_what_it_says_under_teacher_forcing(name):
    model, variables = network(name)
    encoded = model.apply(variables, SOURCE, MASK, method="encode")
    memory, token, said = model.apply(variables, encoded, method="begin"), jnp.full([4], BOS), []
    for t in range(5):
        memory, step, _ = model.apply(variables, encoded, memory, token, method="step")
        said.append(step)
        token = jnp.asarray(TARGET[:, t])
    close(jnp.stack(said, axis=1), logits(model, variables))


@EACH
def test_the_gradient_of_a_step_to_tokens_at_and_after_it_is_exactly_zero(name):
    model, variables = network(name)

    def at(table, row, t):
        changed = {"params": variables["params"] | {"target_embedding": {"embedding": table}}}
        only = {part: x[row][None] for part, x in INPUTS.items()}
        return model.apply(changed, only, jnp.asarray(MASK)[row][None], train=False)[0, t].sum()

    gradient = jax.jit(jax.grad(at))
    for row, t in itertools.product((0, 2), range(5)):
        reach = np.asarray(gradient(variables["params"]["target_embedding"]["embedding"], row, t))  # [V, E]: a row a token
        assert not reach[TARGET[row, t:]].any()
        assert t == 0 or reach[TARGET[row, t - 1]].any()


@EACH
def test_the_sources_padding_its_amount_and_content_change_nothing(name):
    model, variables = network(name)
    other = np.where(MASK, SOURCE, 9)
    wider = np.concatenate([other, np.full([4, 3], 7)], axis=1), np.concatenate([MASK, np.zeros([4, 3], bool)], axis=1)
    before = logits(model, variables, dict(source=np.where(MASK, SOURCE, PAD), target=TARGET))
    close(logits(model, variables, dict(source=wider[0], target=TARGET), wider[1]), before)
    for row in range(4):
        n = LENGTHS[row]
        alone = dict(source=SOURCE[row : row + 1, :n], target=TARGET[row : row + 1])
        close(logits(model, variables, alone, MASK[row : row + 1, :n]), before[row : row + 1])


# attention


def weights(score, local="none", window=1, *, query, keys, mask, steps):
    """(weights, parameters) of an Attention of H = K = 4."""
    layer = Attention(4, score, local, window, hidden=3, max_source=8)

    def run(layer, *arguments):
        return layer(arguments[0], keys, layer.prepare(keys), mask, steps)

    variables = layer.init(KEY, query, method=lambda layer, query: run(layer, query))
    return layer.apply(variables, query, method=lambda layer, query: run(layer, query)), variables.get("params", {})


QUERY, KEYS = jax.random.normal(KEY, (2, 3, 4)), jax.random.normal(jax.random.key(1), (2, 5, 4))
SEEN = jnp.arange(5) < jnp.array([5, 3])[:, None]
STEPS = jnp.tile(jnp.arange(3), (2, 1))


def by_hand(score, p, b, t):
    """Scores of query t of row b over the five keys, in numpy."""
    q, keys = np.asarray(QUERY[b, t]), np.asarray(KEYS[b])
    kernel = {name: np.asarray(layer["kernel"]) for name, layer in p.items()}
    if score in ("additive", "concat"):
        return np.array([kernel["v"][:, 0] @ np.tanh(q @ kernel["of_query"] + k @ kernel["of_key"]) for k in keys])
    if score == "location":
        return (q @ kernel["places"])[:5]
    return np.array([q @ (k @ kernel["general"] if score == "general" else k) for k in keys])


@pytest.mark.parametrize("local", ["none", "monotonic", "predictive"])
@pytest.mark.parametrize("score", ["additive", "concat", "dot", "general", "location"])
def test_the_weights_are_those_of_the_equations_and_zero_where_nothing_is(score, local):
    (context, found), p = weights(score, local, query=QUERY, keys=KEYS, mask=SEEN, steps=STEPS)
    for b, t in itertools.product(range(2), range(3)):
        n = int(SEEN[b].sum())
        scores, places, gauss = by_hand(score, p, b, t)[:n], np.arange(n), 1.0
        inside = np.ones(n, bool)
        if local == "monotonic":
            inside = abs(places - min(t, n - 1)) <= 1
        if local == "predictive":
            toward = np.tanh(np.asarray(QUERY[b, t]) @ p["toward"]["kernel"]) @ p["position"]["kernel"]
            centre = n / (1 + np.exp(-float(toward[0])))
            inside, gauss = abs(places - centre) <= 1, np.exp(-((places - centre) ** 2) / (2 * 0.5**2))
        e = np.where(inside, np.exp(scores - scores.max()), 0)
        expected = np.zeros(5)
        expected[:n] = e / e.sum() * gauss
        close(found[b, t], expected)
        close(context[b, t], expected @ np.asarray(KEYS[b]))


def test_a_source_with_nothing_to_look_at_gives_no_weight_and_a_finite_gradient():
    nothing = jnp.zeros([2, 5], bool)

    def total(query):
        return weights("dot", query=query, keys=KEYS, mask=nothing, steps=STEPS)[0][1].sum()

    assert total(QUERY) == 0 and np.isfinite(jax.grad(total)(QUERY)).all()


def test_alignments_are_the_weights_that_the_steps_give():
    model, variables = network("local-p, input feeding")
    encoded = model.apply(variables, SOURCE, MASK, method="encode")
    memory, token = model.apply(variables, encoded, method="begin"), jnp.full([4], BOS)
    aligned = model.apply(variables, INPUTS, MASK, method="align")
    for t in range(5):
        memory, _, seen = model.apply(variables, encoded, memory, token, method="step")
        close(aligned[:, t], seen)
        token = jnp.asarray(TARGET[:, t])


# decoding


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
        assert scores[row, 0] == pytest.approx(log_probability(model, variables, row, said), abs=1e-3)


@pytest.mark.parametrize("name", ["Luong", "Bahdanau", "Sutskever"])
def test_a_beam_as_wide_as_all_outputs_finds_the_most_probable_one(name):
    model, variables = network(name)
    tokens, scores = search(model, variables, beams=60, length=2)
    for row in range(4):
        every = [[EOS]] + [[a, b] for a in (3, 4, 5, 6, 7, 8) for b in (2, 3, 4, 5, 6, 7, 8)]
        best = max(every, key=lambda said: log_probability(model, variables, row, said))
        assert [int(t) for t in tokens[row, 0] if t != PAD] == best
        assert scores[row, 0] == pytest.approx(log_probability(model, variables, row, best), abs=1e-3)


def test_outputs_come_best_first_are_all_different_and_scored_by_their_length():
    model, variables = network("Luong", scale=2.0)
    plain, normed = (search(model, variables, beams=5, length=10, length_norm=alpha) for alpha in (0.0, 1.0))
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
        alone = search(model, variables, SOURCE[row : row + 1, :n], MASK[row : row + 1, :n], beams=3)
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
    np.testing.assert_array_equal(search(model, (one, one), beams=3)[0], search(model, one, beams=3)[0])


def test_drawn_outputs_follow_the_distribution_and_the_row_key():
    model, variables = network("Luong", scale=1.0)
    source, mask = np.tile(SOURCE[:1], (4000, 1)), np.tile(MASK[:1], (4000, 1))
    keys = jax.random.split(KEY, 4000)
    drawn = np.asarray(jax.jit(lambda k: decoding.sample(model, variables, source, mask, k, length=2))(keys))
    encoded = model.apply(variables, source[:1], mask[:1], method="encode")
    _, step, _ = model.apply(
        variables, encoded, model.apply(variables, encoded, method="begin"), jnp.array([BOS]), method="step"
    )
    p = np.array(jax.nn.softmax(step[0].at[: BOS + 1].set(-jnp.inf)))
    close(np.bincount(drawn[:, 0], minlength=9) / 4000, p, 0.03)
    again = np.asarray(jax.jit(lambda k: decoding.sample(model, variables, source[:1], mask[:1], k, length=2))(keys[7:8]))
    np.testing.assert_array_equal(again[0], drawn[7])


# scheduled sampling


def test_what_is_left_of_teacher_forcing_falls_as_in_figure_3_of_the_paper():
    steps = np.arange(0, 1000, 100, dtype=np.float32)
    close(kept("linear", steps, 1.0, 0.002), np.maximum(1 - 0.002 * steps, 0))
    close(kept("exponential", steps, 0.99, 0.0), 0.99**steps)
    close(kept("inverse_sigmoid", steps, 100.0, 0.0), 100 / (100 + np.exp(steps / 100)))
    assert kept("inverse_sigmoid", np.float32(1e6), 10.0, 0.0) == 0


def test_a_schedule_goes_from_the_target_to_the_models_own_tokens_and_only_training_counts_its_steps():
    options = dict(sampling_schedule="linear", sampling_c=0.5, scheduled_sampling=1.0)
    model = architectures.build("seq2seq", outputs=9, symbols=10, hidden=8, **options)
    variables = model.init(KEY, INPUTS, MASK, train=False)
    other = INPUTS | dict(target=INPUTS["target"][::-1])

    def step(variables, inputs):
        return model.apply(variables, inputs, MASK, train=True, rngs={"dropout": KEY}, mutable=["schedule"])

    for at in range(3):  # nothing, half, all is drawn
        assert variables["schedule"]["step"] == at
        given, state = step(variables, INPUTS)
        forced, same = logits(model, variables), (given == step(variables, other)[0]).all()
        assert bool(np.allclose(given, forced, atol=1e-5)) == (at == 0) and bool(same) == (at == 2)
        variables = variables | state
    capped = model.clone(scheduled_sampling=0.0).apply(variables, INPUTS, MASK, train=True, rngs={"dropout": KEY})
    close(capped, forced)


# what cannot be


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (dict(bridge="copy"), "bridge: 'copy' needs an encoder of one direction"),
        (dict(bridge="backward", directions="forward"), "bridge: 'backward' needs an encoder with that direction"),
        (dict(input_feeding=True, attention="none"), "input_feeding: needs attend='after' and attention"),
        (dict(scheduled_sampling=1.5), r"scheduled_sampling: 1.5 is outside \[0, 1\]"),
        (dict(sampling_schedule="cosine"), "sampling_schedule: unknown 'cosine'; have constant, exponential"),
        (dict(sampling_schedule="linear", sampling_c=0.0), "sampling_c: 0.0 must be above 0 with sampling_schedule='linear'"),
        (dict(sampling_schedule="exponential"), r"sampling_k: 1.0 is outside \(0, 1\) with"),
        (dict(sampling_schedule="inverse_sigmoid", sampling_k=0.5), "sampling_k: 0.5 must be at least 1 with"),
        (dict(attention="dot"), "score: 'dot' needs keys and queries of one size, not 16 and 8"),
        (dict(attention="location", max_source=3), "max_source: 3 is less than the source's 6 places"),
    ],
)
def test_a_combination_that_cannot_work_is_refused_in_one_line(wrong, says):
    model = architectures.build("seq2seq", outputs=9, symbols=10, hidden=8, **wrong)
    with pytest.raises(ValueError, match=f"^{says}") as error:
        jax.eval_shape(lambda: model.init(KEY, INPUTS, MASK, train=False))
    assert "\n" not in str(error.value).split("\n--")[0]
