"""The tasks of Hochreiter & Schmidhuber 1997: the grammar, and what the paper says of lengths, lags
and answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import drawn

from train.data import DATASETS
from train.data.reber import SYMBOLS, embedded, reber, spelt, strings


def lengths_and_ends(batch):
    """Lengths [N], and the place of the last step."""
    lengths = batch["mask"].sum(1)
    assert (batch["mask"] == (np.arange(batch["mask"].shape[1]) < lengths[:, None])).all()
    assert not batch["input"][~batch["mask"]].any()
    return lengths, lengths - 1


# Reber strings: the graph of figure 3, written anew

ARCS = {
    "": {"B": "a"},
    "a": {"T": "b", "P": "c"},
    "b": {"S": "b", "X": "d"},
    "c": {"T": "c", "V": "e"},
}
ARCS |= {"d": {"X": "c", "S": "f"}, "e": {"P": "d", "V": "f"}, "f": {"E": "end"}, "end": {}}


def legal(string: str) -> list[str]:
    """Of each symbol of a Reber string, those that may follow it. Fails for an illegal string."""
    state, ways = "", []
    for symbol in string:
        state = ARCS[state][symbol]
        ways.append("".join(ARCS[state]))
    assert state == "end"
    return ways


@pytest.mark.parametrize(("make", "least", "mean"), [(reber, 5, 8.0), (embedded, 9, 12.0)])
def test_reber_strings_are_as_long_as_the_grammar_makes_them(make, least, mean):
    rng = np.random.default_rng(0)
    lengths = [len(make(rng)) for _ in range(5000)]
    assert min(lengths) == least and np.mean(lengths) == pytest.approx(mean, abs=0.25)


@pytest.fixture(scope="module")
def grammar():
    return DATASETS["embedded_reber"]()


def test_every_embedded_string_is_legal_and_ends_as_it_began(grammar):
    for source in (grammar.train, grammar.evals["test"]):
        for symbols, n in zip(source.arrays["symbol"], source.arrays["length"], strict=True):
            string = "".join(SYMBOLS[k] for k in symbols[:n])
            assert (
                string[0] == "B"
                and string[-1] == "E"
                and string[1] == string[-2]
                and string[1] in "TP"
            )
            legal(string[2:-2])


def test_256_strings_are_trained_on_and_256_others_tested_with_and_data_seed_chooses_them():
    train, test = ([spelt(s) for s in part] for part in strings(256, np.random.default_rng(0)))
    assert len(train) == len(test) == 256 and not set(train) & set(test)
    assert 100 < sum(s[1] == "T" for s in train) < 156
    one, same, other = (
        DATASETS["embedded_reber"](data_seed=seed).train.arrays["symbol"] for seed in (0, 0, 1)
    )
    assert (one == same).all() and (one.shape != other.shape or (one != other).any())


def test_strings_without_end_follow_each_other_with_nothing_between_and_the_legal_symbols_are_those_of_the_next_place():
    arrays = DATASETS["continual_reber"](examples=50).train.arrays
    stream = "".join(SYMBOLS[k] for k in arrays["symbol"])
    ways = [
        "".join(s for s, may in zip(SYMBOLS, row, strict=True) if may) for row in arrays["legal"]
    ]
    place, found = 0, 0
    while place < len(stream):
        # the inner string ends with the first E
        kind, inner = stream[place + 1], stream.index("E", place) + 1
        of_string = ["TP", "B", *legal(stream[place + 2 : inner])[:-1], kind, "E", "B"]
        assert [sorted(w) for w in ways[place : inner + 2]] == [sorted(w) for w in of_string]
        assert stream[place] == "B" and stream[inner : inner + 2] == kind + "E"
        place, found = inner + 2, found + 1
    assert found == 50


def test_a_reber_target_is_the_next_symbol_and_the_legal_ones_are_all_that_may_be_next(grammar):
    source, index = grammar.evals["test"], jnp.arange(256)
    arrays = {k: jnp.asarray(v) for k, v in source.arrays.items()}
    batch = source.batch(arrays, dict(index=index, valid=index >= 0), jax.random.key(0), index)
    batch = {k: np.asarray(v) for k, v in batch.items()}
    assert (batch["mask"].sum(1) == source.arrays["length"] - 1).all()
    for inputs, target, ways, mask in zip(
        *(batch[k] for k in ("input", "target", "legal", "mask")), strict=True
    ):
        said, following = (
            "".join(SYMBOLS[k] for k in x[mask].argmax(-1)) for x in (inputs, target)
        )
        assert said[1:] == following[:-1]
        expected = ["TP", "B", *legal((said + "E")[2:-2])[:-1], said[1], "E"]
        assert [{SYMBOLS[k] for k in np.flatnonzero(row)} for row in ways[mask]] == [
            set(w) for w in expected
        ]


# experiment 2


@pytest.mark.parametrize("variant", ["a", "b"])
def test_the_first_symbol_comes_again_after_p_steps(variant):
    batch = drawn("noise_free_long_lag", 1000, variant=variant, p=10)
    said, following = batch["input"].argmax(-1), batch["target"].argmax(-1)
    assert batch["input"].shape == (1000, 10, 11) and (said[:, 1:] == following[:, :-1]).all()
    assert (
        (said[:, 0] == following[:, -1]).all()
        and set(said[:, 0]) == {9, 10}
        and 400 < (said[:, 0] == 9).sum() < 600
    )
    assert set(said[:, 1:].ravel()) == set(range(9))
    if variant == "a":
        assert (said[:, 1:] == np.arange(9)).all() and batch["scored"].all()
    else:
        assert (
            len(np.unique(said[:, 1:], axis=0)) > 990
            and (batch["scored"] == (np.arange(10) == 9)).all()
        )


def test_a_trigger_comes_after_q_distractors_and_a_tail_of_9_in_the_mean():
    batch = drawn("noise_free_long_lag", variant="c", p=7, q=20)
    lengths, last = lengths_and_ends(batch)
    said = batch["input"]
    assert (
        DATASETS["noise_free_long_lag"](variant="c", p=7, q=20).symbols == 11 and said.max() == 10
    )
    assert (said[:, 0] == 8).all() and set(said[:, 1]) == {9, 10}  # b, then x or y
    rows = np.arange(4000)
    assert (said[rows, last] == 7).all()  # e
    between = (np.arange(said.shape[1]) > 1) & (np.arange(said.shape[1]) < last[:, None])
    assert set(said[between]) == set(range(7))
    assert (
        lengths.min() == 23 and lengths.max() < 124 and lengths.mean() == pytest.approx(32, abs=0.5)
    )  # the last symbol is told
    assert (lengths == 23).mean() == pytest.approx(0.1, abs=0.02)
    assert (batch["target"].argmax(-1) == said[:, 1] - 9).all() and (
        batch["target"].sum(-1) == 1
    ).all()


# experiments 3 to 6


def test_two_sequences_are_told_by_their_first_inputs_alone():
    batch = drawn("two_sequence", T=50, N=3)
    lengths, _ = lengths_and_ends(batch)
    x, one = batch["input"][..., 0], batch["target"][:, 0] == 1
    assert set(lengths) == set(range(50, 56)) and 0.47 < one.mean() < 0.53
    assert (x[one, :3] == 1).all() and (x[~one, :3] == -1).all()
    noise = x[:, 3:50]
    assert noise.var() == pytest.approx(0.2, rel=0.03) and noise[one].mean() == pytest.approx(
        0, abs=0.01
    )
    assert set(batch["target"].ravel()) == {0, 1}


def test_noise_is_added_to_what_tells_the_classes_in_3b_and_to_the_targets_in_3c_but_not_in_its_test():
    batch = drawn("two_sequence", variant="b", T=50, N=3)
    told = batch["input"][:, :3, 0] - np.where(batch["target"] == 1, 1, -1)
    assert told.var() == pytest.approx(0.2, rel=0.05) and told.mean() == pytest.approx(0, abs=0.02)
    batch = drawn("two_sequence", variant="c", T=50, N=3)
    one, target = batch["input"][:, 0, 0] == 1, batch["target"][:, 0]
    for mean, targets in ((0.2, target[one]), (0.8, target[~one])):
        assert targets.mean() == pytest.approx(mean, abs=0.03) and targets.var() == pytest.approx(
            0.1, rel=0.1
        )
    test = drawn("two_sequence", split="test", variant="c", T=50, N=3)
    np.testing.assert_allclose(
        test["target"][:, 0], np.where(test["input"][:, 0, 0] == 1, 0.2, 0.8), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "low", "first_pair", "answer", "mse", "mse_elsewhere"),
    [
        ("lstm_adding", -1, 0, lambda a, b: 0.5 + (a + b) / 4, 0.0392, 1 / 24),
        ("lstm_multiplication", 0, 1, lambda a, b: a * b, 0.0592, 7 / 144),
    ],
)
def test_marked_values_make_the_target_and_lie_at_least_half_of_the_sequence_before_its_end(
    name, low, first_pair, answer, mse, mse_elsewhere
):
    batch = drawn(name, 8000, T=100)
    lengths, last = lengths_and_ends(batch)
    value, marker = np.moveaxis(batch["input"], -1, 0)
    assert set(lengths) == set(range(100, 111))
    assert (
        (marker[:, 0] == -1).all()
        and (marker[np.arange(8000), last] == -1).all()
        and ((marker == -1).sum(1) == 2).all()
    )
    assert low <= value.min() < low + 0.01 and 0.99 < value.max() < 1
    on_first, target = (marker == 1).sum(1) == 1, batch["target"][:, 0]
    assert on_first.mean() == pytest.approx(0.1 + 0.9 / 49, abs=0.012)
    both = np.array([np.flatnonzero(row == 1) for row in marker[~on_first]])
    # pair 50 is the last that can be marked
    assert both.min() == 1 and both[:, 0].max() == 9 and both.max() == 49
    a, b = np.take_along_axis(value[~on_first], both, axis=1).T
    np.testing.assert_allclose(target[~on_first], answer(a, b), rtol=1e-5, atol=1e-6)
    alone = (value * (marker == 1)).sum(1)[on_first]
    np.testing.assert_allclose(target[on_first], answer(first_pair, alone), rtol=1e-5, atol=1e-6)
    assert target.var() == pytest.approx(mse, rel=0.05)
    assert target[~on_first].var() == pytest.approx(mse_elsewhere, rel=0.05)


@pytest.mark.parametrize(
    ("bits", "times"),
    [(2, ((10, 20), (50, 60))), (3, ((10, 20), (33, 43), (66, 76)))],
    ids=["6a", "6b"],
)
def test_the_class_is_the_order_of_x_and_y_at_the_papers_times(bits, times):
    batch = drawn("lstm_temporal_order", bits=bits)
    lengths, last = lengths_and_ends(batch)
    assert set(lengths) == set(range(100, 111)) and (batch["input"].sum(-1) == batch["mask"]).all()
    strings = np.array(list("abcdXYEB"))[batch["input"].argmax(-1)]
    names = ["XX", "XY", "YX", "YY"] if bits == 2 else "XXX XXY XYX XYY YXX YXY YYX YYY".split()
    seen = [set() for _ in times]
    for string, end, target in zip(strings, last, batch["target"], strict=True):
        assert string[0] == "E" and string[end] == "B" and set(string[1:end]) <= set("abcdXY")
        places = np.flatnonzero(np.isin(string, ["X", "Y"]))
        for place, at in zip(places, seen, strict=True):
            at.add(place + 1)  # the paper counts from 1
        assert target.sum() == 1 and names[target.argmax()] == "".join(string[places])
    assert [(min(at), max(at)) for at in seen] == list(times)
    assert (batch["target"].mean(0) > 0.7 / 2**bits).all()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("embedded_reber", dict(strings_per_set=0), r"strings_per_set: 0 is outside \[1, 2000\]"),
        ("embedded_reber", dict(data_seed=-1), "data_seed: -1 must be at least 0"),
        ("continual_reber", dict(examples=0), "examples: 0 must be at least 1"),
        ("noise_free_long_lag", dict(variant="d"), "variant: unknown 'd'; choose from a, b, c"),
        ("noise_free_long_lag", dict(p=1), "p: 1 must be at least 2"),
        ("noise_free_long_lag", dict(q=0), "q: 0 must be at least 1"),
        ("two_sequence", dict(variant="d"), "variant: unknown 'd'; choose from a, b, c"),
        ("two_sequence", dict(T=0), "T: 0 must be at least 1"),
        ("two_sequence", dict(T=10, N=11), "N: 11 must be from 1 to T=10"),
        ("lstm_adding", dict(T=18), "T: 18 must be an even number, at least 20"),
        ("lstm_multiplication", dict(T=21), "T: 21 must be an even number, at least 20"),
        ("lstm_temporal_order", dict(bits=4), "bits: 4 must be 2 or 3"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_with_the_keys_name_first(name, options, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        DATASETS[name](**options)
