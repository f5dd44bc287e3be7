"""The streams of Elman 1990: his tables, his counts, and what can be told of what comes next."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data import DATASETS
from train.data.elman1990 import BITS, CATEGORIES, LEXICON, TEMPLATES, likelihoods
from train.data.source import evaluation_order


def stream(data, split="train"):
    """A whole split, window by window, as numpy arrays [n - 1, ...] of its valid steps."""
    source = data.train if split == "train" else data.evals[split]
    arrays = {k: jnp.asarray(v) for k, v in source.arrays.items()}
    feed, _ = evaluation_order(source, source.examples, source.examples)
    feed = {k: jnp.asarray(v[0]) for k, v in feed.items()}
    batch = source.batch(arrays, feed, jax.random.key(0), jnp.arange(source.examples))
    return {k: np.asarray(v)[np.asarray(batch["mask"])] for k, v in batch.items() if k != "fresh"}


@pytest.mark.parametrize(
    "name", ["temporal_xor", "elman_letters", "elman_words", "elman_sentences"]
)
@pytest.mark.parametrize("window", [1, 7])
def test_every_vector_but_the_last_is_given_once_with_the_next_one_as_target_whatever_the_window(
    name, window
):
    size = {"temporal_xor": "triples", "elman_letters": "consonants"}.get(name, "sentences")
    data = DATASETS[name](window=window, **{size: 50})
    batch = stream(data)
    assert len(batch["input"]) == len(data.train.arrays["symbol"]) - 1
    assert (batch["input"][1:] == batch["target"][:-1]).all() and batch["target"].shape[
        1
    ] == data.outputs
    assert (batch["input"] == stream(DATASETS[name](**{size: 50}))["input"]).all()


@pytest.mark.parametrize("name", ["temporal_xor", "elman_letters", "elman_words"])
def test_the_test_stream_is_a_new_one_and_data_seed_makes_others(name):
    one, same, other = (DATASETS[name](data_seed=seed) for seed in (0, 0, 1))
    symbols = [d.train.arrays["symbol"][:500].tolist() for d in (one, same, other)]
    assert symbols[0] == symbols[1] != symbols[2]
    assert one.evals["test"].arrays["symbol"][:500].tolist() not in symbols
    assert other.evals["test"].arrays["symbol"][:500].tolist() not in symbols


def test_every_third_of_3000_bits_is_the_exclusive_or_of_the_two_before_which_are_random():
    bits = DATASETS["temporal_xor"]().train.arrays["symbol"]
    a, b, c = bits.reshape(-1, 3).T
    assert len(bits) == 3000 and ((a + b) % 2 == c).all()
    assert (np.bincount(2 * a + b) > 200).all()


def test_consonants_are_followed_by_their_vowels_and_the_end_by_the_start():
    batch = stream(DATASETS["elman_letters"]())
    table = {  # printed in table 1
        "b": "101001",
        "d": "101101",
        "g": "101011",
        "a": "010011",
        "i": "010101",
        "u": "010111",
    }
    named = {code: letter for letter, code in table.items()}
    text = "".join(named["".join(map(str, row))] for row in batch["input"].astype(int).tolist())
    assert text.replace("guuu", "").replace("dii", "").replace("ba", "") == ""
    counts = [text.count(consonant) for consonant in "bdg"]
    assert sum(counts) == 1000 and min(counts) > 270 and len(text) == counts @ np.array([2, 3, 4])
    assert (batch["target"][-1] == batch["input"][0]).all()


def test_words_of_15_are_spelt_by_places_in_the_alphabet_about_as_many_letters_as_in_the_paper():
    batch = stream(DATASETS["elman_words"]())
    letters = batch["input"].astype(int) @ [16, 8, 4, 2, 1]
    text = "".join(chr(ord("a") + n - 1) for n in letters)
    # printed in table 2
    codes = dict(a="00001", b="00010", d="00100", g="00111", m="01101", y="11001")
    for letter, code in codes.items():
        assert (batch["input"][text.index(letter)] == list(map(int, code))).all()
    assert len(LEXICON) == len(set(LEXICON)) == 15
    reachable = {0}  # ends of words: the text is words of the lexicon without anything between
    for start in range(len(text)):
        reachable |= {
            start + len(w) for w in LEXICON if start in reachable and text.startswith(w, start)
        }
    assert max(reachable) >= len(text) - 8  # the last letter is only a target
    assert len(text) == pytest.approx(4963, rel=0.1)


@pytest.fixture(scope="module")
def sentences():
    return DATASETS["elman_sentences"]()


def test_29_words_have_the_bits_that_table_5_prints(sentences):
    printed = dict(
        book=0,
        boy=1,
        bread=2,
        car=4,
        cat=5,
        dog=8,
        eat=10,
        girl=12,
        lion=15,
        man=16,
        mouse=18,
        move=19,
        plate=21,
    )
    printed |= {"break": 3, "smash": 26, "woman": 29}
    assert {word: BITS[word] for word in printed} == printed
    batch = stream(sentences)
    assert len(BITS) == 29 and (batch["input"].sum(1) == 1).all() and batch["input"].shape[1] == 31
    assert set(batch["input"].argmax(1)) == set(range(31)) - {20, 30}


def test_ten_thousand_sentences_are_about_27500_words_of_16_templates(sentences):
    assert len(TEMPLATES) == len(set(TEMPLATES)) == 16 and sum(map(len, TEMPLATES)) / 16 == 2.75
    nouns, verbs = (
        {w for c, ws in CATEGORIES.items() if c.startswith(kind) for w in ws}
        for kind in ("NOUN", "VERB")
    )
    assert (len(nouns), len(verbs)) == (18, 11)
    for source in (sentences.train, sentences.evals["test"]):
        assert len(source.arrays["symbol"]) == pytest.approx(27_500, abs=4 * 43)
    assert sentences.evals["train_sentences"] is sentences.train


def test_the_stream_is_sentences_of_the_templates_one_after_the_other(sentences):
    legal = {tuple(BITS[w] for w in words) for template in TEMPLATES for words in product(template)}
    symbols = sentences.train.arrays["symbol"].tolist()
    ends = {0}
    for start in range(len(symbols)):
        if start in ends:
            ends |= {start + n for n in (2, 3) if tuple(symbols[start : start + n]) in legal}
    assert len(symbols) in ends


def product(template):
    words = [()]
    for kind in template:
        words = [(*w, new) for w in words for new in CATEGORIES[kind]]
    return words


def test_likelihoods_are_shares_of_the_words_after_the_same_beginning_of_a_sentence():
    corpus = [
        "man eat bread".split(),
        "man move".split(),
        "man eat cookie".split(),
        "cat move".split(),
        "man move".split(),
    ]
    rows = likelihoods(corpus)
    expected = [
        dict(eat=0.5, move=0.5),
        dict(bread=0.5, cookie=0.5),
        dict(man=1),  # after "man eat bread"
        dict(eat=0.5, move=0.5),
        dict(man=1),  # after the first of the two "man move", of which the other is the end
        dict(eat=0.5, move=0.5),
        dict(bread=0.5, cookie=0.5),
        dict(cat=1),
        dict(move=1),
        dict(man=1),
        dict(eat=0.5, move=0.5),
        dict(man=1),
    ]
    assert rows.shape == (12, 31)
    for row, shares in zip(rows, expected, strict=True):
        assert {word: row[bit] for word, bit in BITS.items() if row[bit]} == shares


def test_likelihoods_are_the_best_that_can_be_told_and_better_than_the_words_alone(sentences):
    batch = stream(sentences)
    np.testing.assert_allclose(batch["likelihood"].sum(1), 1, rtol=1e-5)
    word = batch["input"].argmax(1)
    alone = np.stack(
        [
            batch["target"][word == w].mean(0) if (word == w).any() else np.zeros(31)
            for w in range(31)
        ]
    )[word]
    told, told_alone = (
        np.square(batch["target"] - x).sum(1).mean() for x in (batch["likelihood"], alone)
    )
    assert told == pytest.approx(0.788, abs=0.01) and told_alone > told + 0.01  # all outputs off: 1


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("temporal_xor", dict(triples=0), "triples: 0 must be at least 1"),
        ("elman_letters", dict(consonants=0), "consonants: 0 must be at least 1"),
        ("elman_words", dict(sentences=0), "sentences: 0 must be at least 1"),
        ("elman_sentences", dict(window=0), "window: 0 must be at least 1"),
        ("elman_sentences", dict(data_seed=-1), "data_seed: -1 must be at least 0"),
    ],
)
def test_a_stream_that_cannot_be_is_refused_with_the_keys_name_first(name, options, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        DATASETS[name](**options)


@pytest.mark.parametrize("name", ["temporal_xor", "elman_letters"])
def test_what_is_random_and_what_can_be_told_are_judged_apart(name):
    random, told = (stream(DATASETS[name](), split) for split in ("onsets", "inside"))
    assert (random["scored"] ^ told["scored"]).all()
    x, target, scored = told["input"], told["target"], told["scored"].ravel()
    if name == "temporal_xor":
        before = x[:-1] != x[1:]  # of the two bits before a target
        assert (before.ravel() == target[1:].ravel())[
            scored[1:]
        ].all() and scored.mean() == pytest.approx(1 / 3, abs=0.01)
    else:
        vowel = target[:, 1] == 1
        assert (vowel == scored).all()


def test_each_letter_to_be_told_is_judged_as_the_first_of_a_word_or_as_one_inside():
    data = DATASETS["elman_words"](sentences=20)
    onsets, inside, whole = (stream(data, split) for split in ("onsets", "inside", "test"))
    assert (onsets["scored"] ^ inside["scored"]).all() and (
        onsets["target"] == whole["target"]
    ).all()
    letters = "".join(
        chr(ord("a") + n - 1) for n in onsets["target"].astype(int) @ [16, 8, 4, 2, 1]
    )
    starts = [0, *np.flatnonzero(onsets["scored"][1:]) + 1, len(letters)]
    words = [letters[a:b] for a, b in itertools.pairwise(starts)]
    assert set(words[1:]) <= set(LEXICON) and len(words) > 100
