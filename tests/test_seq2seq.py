"""Seq2Seq: attention by its equations, no look ahead, no look at padding; scheduled sampling."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from helpers import close
from small_seq2seq import EACH, INPUTS, KEY, LENGTHS, MASK, SOURCE, TARGET, logits, network

import architectures
from architectures.attention import Attention
from architectures.seq2seq import kept
from configs import load
from train.tasks import BOS, PAD


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


@pytest.mark.parametrize("name", ["Luong", "dot, input feeding", "scheduled sampling"])
@pytest.mark.parametrize("variational", [True, False])
def test_variational_dropout_has_one_mask_for_all_steps_of_the_decoder_however_it_goes(
    name, variational
):
    model, variables = network(name)
    model = model.clone(dropout=0.5, variational=variational)
    # a logit is a feature, and zero where that is dropped
    head = dict(kernel=jnp.eye(8, 9), bias=jnp.zeros(9))
    variables = {**variables, "params": {**variables["params"], "logits": head}}
    said = model.apply(
        variables,
        INPUTS,
        MASK,
        train=True,
        rngs={"dropout": jax.random.key(1)},
        mutable=["schedule"],
    )[0]
    dropped = np.asarray(said[..., :8] == 0)
    assert 0.3 < dropped.mean() < 0.7 and (dropped == dropped[:, :1]).all() == variational


def test_sampling_draws_anew_at_each_step_also_where_dropout_has_one_mask_for_all():
    model, variables = network("scheduled sampling")
    model = model.clone(dropout=0.1, variational=True, scheduled_sampling=0.5)
    keys = [
        model.apply(
            variables,
            dict(step=jnp.full([4], t)),
            method="_key",
            rngs={"dropout": jax.random.key(1)},
        )
        for t in (0, 1, 1)
    ]
    first, second, again = map(jax.random.key_data, keys)
    assert (first != second).any() and (second == again).all()


@EACH
def test_the_gradient_of_a_step_to_tokens_at_and_after_it_is_exactly_zero(name):
    model, variables = network(name)

    def at(table, row, t):
        changed = {"params": variables["params"] | {"target_embedding": {"embedding": table}}}
        only = {part: x[row][None] for part, x in INPUTS.items()}
        return model.apply(changed, only, jnp.asarray(MASK)[row][None], train=False)[0, t].sum()

    gradient = jax.jit(jax.grad(at))
    for row, t in itertools.product((0, 2), range(5)):
        # [V, E]: a row a token
        reach = np.asarray(gradient(variables["params"]["target_embedding"]["embedding"], row, t))
        assert not reach[TARGET[row, t:]].any()
        assert t == 0 or reach[TARGET[row, t - 1]].any()


@EACH
def test_the_sources_padding_its_amount_and_content_change_nothing(name):
    model, variables = network(name)
    other = np.where(MASK, SOURCE, 9)
    wider = (
        np.concatenate([other, np.full([4, 3], 7)], axis=1),
        np.concatenate([MASK, np.zeros([4, 3], bool)], axis=1),
    )
    before = logits(model, variables, dict(source=np.where(MASK, SOURCE, PAD), target=TARGET))
    close(logits(model, variables, dict(source=wider[0], target=TARGET), wider[1]), before)
    for row in range(4):
        n = LENGTHS[row]
        alone = dict(source=SOURCE[row : row + 1, :n], target=TARGET[row : row + 1])
        close(logits(model, variables, alone, MASK[row : row + 1, :n]), before[row : row + 1])
    # the longest
    left = (
        np.pad(SOURCE[:1], [(0, 0), (3, 0)], constant_values=5),
        np.pad(MASK[:1], [(0, 0), (3, 0)]),
    )
    close(logits(model, variables, dict(source=left[0], target=TARGET[:1]), left[1]), before[:1])


def test_rnnsearch_has_the_80_4_million_weights_that_the_papers_sizes_come_to():
    config = load.load("configs/seq2seq_wmt14.py")[1].model
    options = {key: value for key, value in config.items() if key != "name"}
    model = architectures.build("seq2seq", outputs=30_000, symbols=30_000, **options)
    params = jax.eval_shape(lambda: model.init(KEY, INPUTS, MASK, train=False))["params"]
    of = {
        path: leaf.size
        for path, leaf in flatten_dict(params, sep="/").items()
        if not path.endswith("bias")
    }
    parts = {
        part: sum(size for path, size in of.items() if path.startswith(part))
        for part in ("encoder", "decoder", "attention")
    }
    assert parts == dict(encoder=9_720_000, decoder=10_860_000, attention=3_001_000)
    assert of["readout/kernel"] == 3_620_000 and of["logits/kernel"] == 15_000_000
    # of 2 x 18.6 million in the embeddings and 1 million in the bridge
    assert sum(of.values()) == 80_401_000


def test_the_scale_of_the_initialiser_is_that_of_attention_too():
    model = architectures.build(
        "seq2seq", outputs=9, symbols=10, hidden=64, initialiser="uniform", init_scale=0.1
    )
    params = model.init(KEY, INPUTS, MASK, train=False)["params"]
    for path, leaf in flatten_dict(params, sep="/").items():
        if path.endswith(("kernel", "embedding", "input", "recurrent")):
            assert 0.09 < np.abs(leaf).max() <= 0.1, path


# attention


def weights(score, local="none", window=1, *, query, keys, mask, steps):
    """(weights, parameters) of an Attention of H = K = 4."""
    layer = Attention(4, score, local, window, hidden=3, max_source=8)

    def run(layer, *arguments):
        return layer(arguments[0], *layer.prepare(keys, mask), mask, steps)

    variables = layer.init(KEY, query, method=lambda layer, query: run(layer, query))
    return layer.apply(
        variables, query, method=lambda layer, query: run(layer, query)
    ), variables.get("params", {})


QUERY, KEYS = jax.random.normal(KEY, (2, 3, 4)), jax.random.normal(jax.random.key(1), (2, 5, 4))
SEEN = jnp.arange(5) < jnp.array([5, 3])[:, None]
STEPS = jnp.tile(jnp.arange(3), (2, 1))


def by_hand(score, p, b, t):
    """Scores of query t of row b over the five keys, in numpy."""
    q, keys = np.asarray(QUERY[b, t]), np.asarray(KEYS[b])
    kernel = {name: np.asarray(layer["kernel"]) for name, layer in p.items()}
    if score in ("additive", "concat"):
        return np.array(
            [
                kernel["v"][:, 0] @ np.tanh(q @ kernel["of_query"] + k @ kernel["of_key"])
                for k in keys
            ]
        )
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
            toward = (
                np.tanh(np.asarray(QUERY[b, t]) @ p["toward"]["kernel"]) @ p["position"]["kernel"]
            )
            centre = n / (1 + np.exp(-float(toward[0])))
            inside, gauss = (
                abs(places - centre) <= 1,
                np.exp(-((places - centre) ** 2) / (2 * 0.5**2)),
            )
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
        return model.apply(
            variables, inputs, MASK, train=True, rngs={"dropout": KEY}, mutable=["schedule"]
        )

    for at in range(3):  # nothing, half, all is drawn
        assert variables["schedule"]["step"] == at
        given, state = step(variables, INPUTS)
        forced, same = logits(model, variables), (given == step(variables, other)[0]).all()
        assert bool(np.allclose(given, forced, atol=1e-5)) == (at == 0) and bool(same) == (at == 2)
        variables = variables | state
    capped = model.clone(scheduled_sampling=0.0).apply(
        variables, INPUTS, MASK, train=True, rngs={"dropout": KEY}
    )
    close(capped, forced)


# what cannot be


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (dict(bridge="copy"), "bridge: 'copy' needs an encoder with one direction"),
        (
            dict(bridge="backward", directions="forward"),
            "bridge: 'backward' needs an encoder with that direction",
        ),
        (
            dict(input_feeding=True, attention="none"),
            "input_feeding: needs attend='after' and attention",
        ),
        (dict(scheduled_sampling=1.5), r"scheduled_sampling: 1.5 is outside \[0, 1\]"),
        (
            dict(sampling_schedule="cosine"),
            "sampling_schedule: unknown 'cosine'; choose from constant, exponential",
        ),
        (
            dict(sampling_schedule="linear", sampling_c=0.0),
            "sampling_c: 0.0 must be above 0 with sampling_schedule='linear'",
        ),
        (dict(sampling_schedule="exponential"), r"sampling_k: 1.0 is outside \(0, 1\) with"),
        (
            dict(sampling_schedule="inverse_sigmoid", sampling_k=0.5),
            "sampling_k: 0.5 must be at least 1 with",
        ),
        (
            dict(attention="dot"),
            "attention: 'dot' needs keys and queries of one size, not 16 and 8",
        ),
        (
            dict(attention="location", max_source=3),
            "max_source: 3 is less than the source's 6 places",
        ),
    ],
)
def test_a_combination_that_cannot_work_is_refused_in_one_line(wrong, says):
    model = architectures.build("seq2seq", outputs=9, symbols=10, hidden=8, **wrong)
    with pytest.raises(ValueError, match=f"^{says}") as error:
        jax.eval_shape(lambda: model.init(KEY, INPUTS, MASK, train=False))
    assert "\n" not in str(error.value).split("\n--")[0]
