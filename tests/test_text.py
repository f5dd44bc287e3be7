"""Text: counts of the real sets, splits, buckets, and streams whose memory goes on."""

import collections
import itertools
import pathlib

import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data import DATASETS, files, texts
from train.data.buckets import lengths_of_buckets
from train.data.source import Source, evaluation_order, training_order
from train.data.text import by_blocks, by_hash, pairs, streams
from train.data.universal_tags import UNIVERSAL, universal
from train.errors import BadInput
from train.loop import fresh_state
from train.parallel import Program
from train.tasks import EOS

# the sets


def test_the_embedded_texts_are_whole():
    words, _ = texts.load("cmudict")
    verses, _ = texts.load("kjv")
    assert (len(words), len(verses)) == (126_052, 31_102)
    phones = {phone for line in words for said in line.split("\t")[1:] for phone in said.split()}
    assert len(phones) == 39
    assert verses[0].startswith("In the beginning God created") and verses[-1].endswith("Amen.")


def test_a_damaged_or_missing_text_is_refused_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(
        BadInput,
        match=r"brown is not prepared \(looked for .*\); run python -m scripts.prepare_data brown$",
    ):
        texts.load("brown")
    monkeypatch.setenv("CANON_DATA", str(tmp_path))
    for contents in (b"", b"nonsense"):
        (tmp_path / "brown.txt.xz").write_bytes(contents)
        with pytest.raises(BadInput, match=r"brown.txt.xz is damaged .*; delete it and run"):
            texts.load("brown")
    texts.write(tmp_path / "brown.txt.xz", ["other/nn lines/nns"])
    with pytest.raises(BadInput, match=r"does not hold the lines of brown"):
        texts.load("brown")


def test_a_word_is_in_one_split_whatever_its_pronunciations_and_every_line_in_one():
    lines, _ = texts.load("cmudict")
    split = by_hash(lines)
    assert sum(map(len, split.values())) == len(lines) and {
        k: len(v) for k, v in by_hash(["a\tX", "a\tY"]).items()
    } in (
        dict(train=2, validation=0, test=0),
        dict(train=0, validation=2, test=0),
        dict(train=0, validation=0, test=2),
    )
    assert 0.045 < len(split["test"]) / len(lines) < 0.055
    blocks = by_blocks(list(range(4000)))
    assert [len(blocks[k]) for k in ("train", "validation", "test")] == [3600, 200, 200] and blocks[
        "test"
    ][0] == 1900


@pytest.mark.parametrize("count", [20, 39, 150, 1900, 1999, 2000])
def test_few_lines_too_are_split_18_to_1_to_1_without_an_empty_part(count):
    split = by_blocks(list(range(count)))
    assert sorted(itertools.chain(*split.values())) == list(range(count))
    for which in ("validation", "test"):
        assert count // 20 <= len(split[which]) <= count / 20 + 1


def test_a_split_without_lines_is_refused_by_its_name():
    with pytest.raises(ValueError, match="^lines: 19 are too few"):
        by_blocks([""] * 19)
    origin, split = files.Origin("files", "", "", {}, ""), dict(train=["a"], validation=[], test=[])
    with pytest.raises(ValueError, match="^no example for validation, test"):
        streams(split, origin, "mine", vocabulary="char", size=None, window=3)
    with pytest.raises(ValueError, match="^no example for validation, test"):
        pairs(split, {}, origin, "mine", buckets=1, reverse=False)


def test_browns_tags_become_the_twelve_universal_ones():
    examples = dict(
        nn="NOUN",
        vbd="VERB",
        jj="ADJ",
        rb="ADV",
        cd="NUM",
        at="DET",
        cc="CONJ",
        ppss="PRON",
        to="PRT",
        cs="ADP",
    )
    examples |= {
        "np-tl": "NOUN",
        "nn$-tl-hl": "NOUN",
        "bez*": "VERB",
        "*": "ADV",
        "ppss+bem": "PRON",
        "fw-in": "X",
        "--": ".",
    }
    examples |= {
        "(-hl": ".",
        "pp$": "DET",
        "pp$$": "PRON",
        "wrb": "ADV",
        "wdt+bez": "DET",
        ",": ".",
        "''": ".",
    }
    assert {tag: universal(tag) for tag in examples} == examples and len(UNIVERSAL) == 12
    with pytest.raises(ValueError, match="unknown tag 'qq'"):
        universal("qq")


def test_each_of_browns_472_tags_has_a_universal_one_and_a_suffix_of_a_place_in_the_text_changes_none():
    # all that prepared Brown has
    tags = pathlib.Path(__file__).with_name("brown_tags.txt").read_text().split()
    assert len(tags) == len(set(tags)) == 472 and {universal(tag) for tag in tags} == set(UNIVERSAL)
    for tag in tags:
        assert universal(tag) == universal(f"{tag}-tl-hl") == universal(tag.upper())


def test_a_tagged_sentence_is_its_words_and_their_tags_word_by_word(monkeypatch):
    monkeypatch.setattr(texts, "load", helpers.or_a_little_text(texts.load))
    for tagset, expected in dict(universal="DET NOUN VERB PRON .", full="at nn vbd ppo .").items():
        data = DATASETS["brown_tags"](tagset=tagset)
        source, words, tags = (
            data.evals["test"],
            *(data.vocabularies[name] for name in ("tokens", "tags")),
        )
        row = int(np.argmax(source.arrays["word_length"]))
        n = source.arrays["word_length"][row]
        assert words.decode(source.arrays["word"][row, :n]) == "the dog saw it ."
        assert tags.decode(source.arrays["tag"][row, :n]) == expected
    text = DATASETS["brown"]().vocabularies["tokens"]
    assert text.decode(text.encode("The dog ran")) == "The dog ran"


# pairs and buckets


@pytest.fixture(scope="module")
def cmudict():
    return DATASETS["cmudict"]()


def test_a_pair_is_the_letters_and_the_phones_with_an_end_and_all_pronunciations_are_references(
    cmudict,
):
    source, letters, phones = (
        cmudict.evals["test"],
        cmudict.vocabularies["source"],
        cmudict.vocabularies["target"],
    )
    said = {line.split("\t")[0]: line.split("\t")[1:] for line in texts.load("cmudict")[0]}
    several = [i for i, of in enumerate(source.arrays["references"]) if of[1].any()][:5]
    for i in several:
        bucket = int(source.bucket[i])
        arrays = {k: jnp.asarray(v) for k, v in source.arrays.items()}
        feed = dict(index=jnp.array([i]), valid=jnp.array([True]))
        batch = source.batch(arrays, feed, jax.random.key(0), jnp.arange(1), bucket)
        word = letters.decode(np.asarray(batch["input"]["source"])[0][np.asarray(batch["mask"])[0]])
        target = np.asarray(batch["input"]["target"])[0]
        assert phones.decode(target) == said[word][0] and EOS in target
        assert [
            phones.decode(row) for row in np.asarray(batch["references"])[0] if row.any()
        ] == said[word]


def test_reversing_turns_the_source_by_its_own_length_and_not_the_target(cmudict):
    plain, turned = (
        cmudict.evals["test"].arrays,
        DATASETS["cmudict"](reverse=True).evals["test"].arrays,
    )
    np.testing.assert_array_equal(plain["target"], turned["target"])
    for row, other, n in zip(
        plain["source"][:50], turned["source"][:50], plain["source_length"], strict=False
    ):
        assert row[:n].tolist() == other[:n][::-1].tolist() and not other[n:].any()


def test_buckets_keep_padding_under_15_percent_of_cmudict(cmudict):
    source = cmudict.train
    used = sum(source.arrays[f"{part}_length"].sum() for part in ("source", "target"))
    filled = 0
    for k, rows in enumerate(source.members):
        arrays = {name: jnp.asarray(a[rows[:1]]) for name, a in source.arrays.items()}
        feed = dict(index=jnp.array([0]), valid=jnp.array([True]))
        batch = jax.eval_shape(
            lambda a=arrays, f=feed, k=k: source.batch(a, f, jax.random.key(0), jnp.arange(1), k)
        )
        filled += len(rows) * sum(batch["input"][part].shape[1] for part in ("source", "target"))
    assert 1 - used / filled < 0.15


def test_the_ends_of_buckets_waste_least():
    lengths = np.array([1] * 10 + [2] * 10 + [9] * 3 + [10])
    assert lengths_of_buckets(lengths, 1) == [10] and lengths_of_buckets(lengths, 2) == [2, 10]
    assert lengths_of_buckets(lengths, 3) == [1, 2, 10] and lengths_of_buckets(lengths, 9) == [
        1,
        2,
        9,
        10,
    ]


BUCKETS = Source(23, {}, (None, None, None), bucket=np.arange(23) % 3)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_epoch_of_buckets_takes_each_example_once_and_never_mixes_buckets(seed):
    steps = BUCKETS.steps_per_epoch(4)
    for epoch in range(2):
        feed, bucket = training_order(BUCKETS, seed, epoch * steps, steps, 4)
        assert sorted(feed["index"][feed["valid"]]) == list(range(23))
        assert all(
            (BUCKETS.bucket[i[v]] == k).all()
            for i, v, k in zip(feed["index"], feed["valid"], bucket, strict=True)
        )
    feed, bucket = evaluation_order(BUCKETS, 4, 4)
    assert (
        sorted(feed["index"][feed["valid"]]) == list(range(23))
        and sorted(bucket) == bucket.tolist()
    )


def test_seeds_go_through_the_buckets_together_each_in_its_own_order():
    (one, first), (other, second) = (training_order(BUCKETS, seed, 0, 6, 4) for seed in (0, 1))
    assert first.tolist() == second.tolist() and (one["index"] != other["index"]).any()
    assert (
        first.tolist() != training_order(BUCKETS, 0, BUCKETS.steps_per_epoch(4), 6, 4)[1].tolist()
    )


# streams


def test_every_token_but_the_first_is_a_target_once_in_evaluation():
    source = DATASETS["kjv"](window=35).evals["test"]
    feed, _ = evaluation_order(source, 16, 16)
    arrays, seen = {"stream": jnp.asarray(source.arrays["stream"])}, collections.Counter()
    for k in range(len(feed["index"])):
        row = {name: jnp.asarray(x[k]) for name, x in feed.items()}
        batch = source.batch(arrays, row, jax.random.key(0), jnp.arange(16))
        places = row["index"][:, None] + 1 + jnp.arange(35)
        seen.update(np.asarray(places)[np.asarray(batch["mask"])].tolist())
        np.testing.assert_array_equal(batch["input"][:, 1:], batch["target"][:, :-1])
    assert set(seen.values()) == {1} and sorted(seen) == list(
        range(1, len(source.arrays["stream"]))
    )


def test_a_row_of_a_training_batch_goes_on_where_it_was_until_the_epoch_begins_anew():
    source = Source(41, {}, None, window=5)
    feed, _ = training_order(source, 0, 0, 21, 4)
    assert (np.diff(feed["index"][:10], axis=0) == 5).all() and feed["index"][0].tolist() == [
        0,
        50,
        100,
        150,
    ]
    assert feed["fresh"][:, 0].tolist() == [True, *[False] * 9] * 2 + [True]


LM = {
    "steps_per_dispatch": 1,
    "data.batch_size": 8,
    "eval.batch_size": 8,
    "model.hidden": 8,
    "model.dropout": 0.0,
    "data.vocabulary": "char",
    "data.window": 12,
    "schedule.warmup": 0,
}


def language_model(**changes):
    return helpers.build(
        "configs/lm_kjv.py", **{k.replace(".", "__"): v for k, v in LM.items()} | changes
    )


def test_what_a_stream_leaves_behind_is_felt_in_the_next_window_and_eight_devices_feel_the_same():
    curves = []
    for devices in (1, 8):
        curve, program, carry = helpers.losses(language_model(parallel__devices=devices), 3)
        curves.append(curve)
        memory = jax.tree.leaves(program.state(carry).model_state["memory"])
        assert all(leaf.shape == (1, 8, 8) and leaf.all() for leaf in memory)
    np.testing.assert_allclose(*curves, rtol=1e-5)


def shorten(e, tokens: int, window: int):
    """Leaves that many targets in the test stream."""
    test = e.dataset.evals["test"]
    stream = dict(stream=test.arrays["stream"][: tokens + 1])
    e.dataset.evals["test"] = Source(-(-tokens // window), stream, test.make, window=window)


def test_the_loss_of_a_stream_in_evaluation_does_not_depend_on_how_it_is_cut_into_windows():
    totals = []
    for window in (12, 37):
        e = language_model(data__window=window, eval__batch_size=1, parallel__devices=1)
        shorten(e, 37 * 12, window)
        program = Program(e)
        _, sums = program.evaluate(program.start(fresh_state(e)), "test")
        sums = program.fetch(sums)
        totals.append(float(sums["nats"][0]))
        assert sums["tokens"].tolist() == [37 * 12]
    assert totals[0] == pytest.approx(totals[1], rel=1e-6)


def test_a_stream_has_one_loss_in_evaluation_on_any_number_of_devices():
    """Each part begins with an empty memory, so that three parts would not say what eight do."""
    nats = {}
    for devices, rows in ((1, 3), (8, 3), (1, 8)):
        e = language_model(eval__batch_size=rows, parallel__devices=devices)
        shorten(e, 24 * 12, window=12)
        program = Program(e)
        _, sums = program.evaluate(program.start(fresh_state(e)), "test")
        nats[devices, rows] = float(program.fetch(sums)["nats"][0])
    assert nats[1, 3] == pytest.approx(nats[8, 3], rel=1e-6)
    assert abs(nats[1, 3] - nats[1, 8]) > 1e-4 * nats[1, 3]


def test_windows_that_start_anew_have_one_loss_however_many_are_read_side_by_side_and_another_than_with_a_memory():
    nats = {}
    for carried in (True, False):
        for rows in (1, 4):
            e = language_model(
                model__carried=carried, eval__batch_size=rows, data__limit=200, parallel__devices=1
            )
            program = Program(e)
            _, sums = program.evaluate(program.start(fresh_state(e)), "test")
            nats[carried, rows] = float(program.fetch(sums)["nats"][0])
    assert nats[False, 1] == pytest.approx(nats[False, 4], rel=1e-6)
    assert abs(nats[True, 1] - nats[False, 1]) > 1e-3 * nats[True, 1]  # of windows of 12


def test_words_of_cmudict_are_trained_on_up_to_a_length_and_tested_in_parts_that_make_the_whole():
    data = DATASETS["cmudict"](train_length=5, lengths=(4, 9, 40))
    assert data.train.arrays["source_length"].max() == 5
    parts = {
        name: source.arrays["source_length"]
        for name, source in data.evals.items()
        if name.startswith("test_")
    }
    assert {name: (int(of.min()), int(of.max()) <= 40) for name, of in parts.items()} == {
        "test_1_to_4": (1, True),
        "test_5_to_9": (5, True),
        "test_10_to_40": (10, True),
    }
    whole = data.evals["test"].arrays["source_length"]
    assert (
        sorted(np.concatenate(list(parts.values()))) == sorted(whole)
        and list(data.evals)[-1] == "test"
    )
    with pytest.raises(ValueError, match="^lengths: no word for test_41_to_50$"):
        DATASETS["cmudict"](lengths=(40, 50))
