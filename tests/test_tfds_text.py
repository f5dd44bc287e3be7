"""Text of TFDS: small real folders of the official names and features, read without TensorFlow."""

import collections
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folders import prepare_tfds_text

from configs import base
from scripts import prepare_data, prepare_tfds
from train import experiment
from train.data import DATASETS, tfds_text
from train.data.source import evaluation_order
from train.errors import BadInput
from train.tasks import EOS, UNK

PAIRS = [dict(en=f"The cat sees {n} dogs.", fr=f"Le chat voit {n} chiens, été.") for n in range(30)]
REVIEWS = [
    dict(text=f"Film {n % 7}:<br />very " + ("GOOD" if n % 3 else "bad !"), label=int(n % 3 > 0))
    for n in range(40)
]
EXAMPLES = {
    "imdb_reviews/plain_text": dict(
        train=REVIEWS, test=REVIEWS[:9], unsupervised=[dict(text="none", label=-1)]
    ),
    "lm1b": dict(
        train=[dict(text=f"He did n't see the U.S. {n} .") for n in range(50)],
        test=[dict(text="She said 3 .")] * 4,
    ),
    "tiny_shakespeare": {
        s: [dict(text=f"{s}:\nSpeak, speak.\n\nAll:\nSpeak.\n")]
        for s in ("train", "validation", "test")
    },
    "wmt14_translate/fr-en": dict(train=PAIRS, validation=PAIRS[:4], test=PAIRS[4:10]),
}
FOLDERS = {name.split("/")[0]: name for name in EXAMPLES}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The sets, prepared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        yield {name: prepare_tfds_text(name, examples) for name, examples in EXAMPLES.items()}


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


def batches(source, size=8):
    """Every batch of an evaluation, in numpy."""
    feed, bucket = evaluation_order(source, size, size)
    arrays = {name: jnp.asarray(array) for name, array in source.arrays.items()}
    for k, which in enumerate(bucket):
        row = {name: jnp.asarray(x[k]) for name, x in feed.items()}
        yield jax.tree.map(
            np.asarray, source.batch(arrays, row, jax.random.key(0), jnp.arange(size), int(which))
        )


@pytest.mark.parametrize("languages", ["en-fr", "fr-en"])
def test_a_translation_goes_from_the_first_language_to_the_second_and_every_pair_is_there_once(
    folders, languages
):
    data = DATASETS["wmt14_translate"](languages=languages)
    source, target = data.vocabularies["source"], data.vocabularies["target"]
    found = collections.Counter()
    for batch in batches(data.evals["test"]):
        for s, t, mask, answers in zip(
            *batch["input"].values(), batch["mask"], batch["references"], strict=True
        ):
            if mask.any():
                assert (
                    target.decode(t) == target.decode(answers[0])
                    and EOS in t
                    and not s[~mask].any()
                )
                found[source.decode(s[mask]), target.decode(t)] += 1
    said = [
        [text.replace(".", " .").replace(",", " ,") for text in (p["en"], p["fr"])]
        for p in PAIRS[4:10]
    ]
    assert found == collections.Counter(
        tuple(pair if languages == "en-fr" else pair[::-1]) for pair in said
    )
    assert (
        data.examples == dict(train=30, validation=4, test=6) and data.metadata["source"] == "tfds"
    )


def test_long_pairs_go_from_training_alone_and_empty_ones_from_everywhere(empty):
    short, long, none = PAIRS[0], dict(en="one " * 12, fr="un"), dict(en="One.", fr=" ")
    prepare_tfds_text(
        "wmt14_translate/fr-en", {split: [short, long, none] for split in tfds_text.SPLITS}
    )
    assert DATASETS["wmt14_translate"](max_length=8).examples == dict(train=1, validation=2, test=2)
    with pytest.raises(ValueError, match="^max_length: no pair of train has at most 3 words$"):
        DATASETS["wmt14_translate"](max_length=3)


def test_a_limit_takes_so_many_training_examples_says_so_and_leaves_the_test_whole(folders):
    (all_of_it, whole), (some, part) = tfds_text.load("lm1b"), tfds_text.load("lm1b", 3)
    assert some["train"] == all_of_it["train"][:3] and some["test"] == all_of_it["test"]
    assert (
        part.examples == dict(train=3, test=4)
        and "the first 3 of 50 training examples" in part.note
    )
    assert (
        "first" not in whole.note
        and part.digest != whole.digest == tfds_text.load("lm1b", 99)[1].digest
    )


def test_every_example_is_read_across_the_records_that_are_fetched_at_a_time(empty):
    prepare_tfds_text(
        "lm1b", dict(train=[dict(text=f"sentence {n}") for n in range(2003)], test=[dict(text="a")])
    )
    rows, _ = tfds_text.load("lm1b")
    assert sorted(rows["train"]) == sorted((f"sentence {n}",) for n in range(2003))


def test_the_benchmarks_own_tokens_stay_whole_and_each_sentence_ends_with_eos(folders):
    data = DATASETS["lm1b"](window=5)
    words, stream = data.vocabularies["tokens"], data.evals["test"].arrays["stream"]
    assert {"n't", "U.S."} <= set(words.symbols) and list(data.evals) == ["test"]
    assert (stream == EOS).sum() == 4 and UNK in stream  # "She" and "said" are not in training
    assert (data.train.arrays["stream"] == EOS).sum() == 50 and UNK not in data.train.arrays[
        "stream"
    ]


def test_shakespeares_lines_come_back_from_the_stream_in_order(folders):
    data = DATASETS["tiny_shakespeare"]()
    stream = data.evals["test"].arrays["stream"]
    lines = np.split(stream, np.flatnonzero(stream == EOS) + 1)[:-1]
    assert [data.vocabularies["tokens"].decode(line) for line in lines] == [
        "test:",
        "Speak, speak.",
        "",
        "All:",
        "Speak.",
    ]


def test_a_review_is_its_last_words_in_lower_case_with_its_label(folders):
    data = DATASETS["imdb_reviews"](max_length=3, buckets=2)
    words, found = data.vocabularies["tokens"], collections.Counter()
    for batch in batches(data.evals["test"]):
        assert batch["input"].shape[1] <= 3
        for row, target, mask in zip(batch["input"], batch["target"], batch["mask"], strict=True):
            if mask.any():
                found[words.decode(row[mask]), int(target)] += 1
    assert found == {("very bad !", 0): 3, (": very good", 1): 6}
    assert DATASETS["imdb_reviews"](validation=10).examples == dict(train=30, validation=10, test=9)


@pytest.mark.parametrize(
    ("name", "model", "task", "options"),
    [
        ("imdb_reviews", "sequence_readout", "classify", {}),
        ("lm1b", "language_model", "language_model", {"data.window": 5}),
        ("tiny_shakespeare", "language_model", "language_model", {"data.window": 5}),
        ("wmt14_translate", "seq2seq", "transduce", {}),
    ],
)
def test_an_experiment_is_built_from_each(folders, name, model, task, options):
    config = base.get_config()
    sections = {"data.name": name, "model.name": model, "task.name": task, "data.batch_size": 4}
    base.override(config, sections | options)
    assert experiment.build(config).dataset.examples["train"] > 0


@pytest.mark.parametrize("name", FOLDERS)
def test_a_set_that_is_not_prepared_is_refused_with_the_command_that_prepares_it(empty, name):
    with pytest.raises(BadInput) as caught:
        DATASETS[name]()
    said = str(caught.value)
    assert (
        str(empty) in said
        and said.endswith(f"run python -m scripts.prepare_data {FOLDERS[name]}")
        and "\n" not in said
    )


def test_a_damaged_folder_is_refused_in_one_line_that_names_it(empty):
    directory = prepare_tfds_text("lm1b", EXAMPLES["lm1b"])
    records = next(directory.glob("*train*"))
    for damage in (
        lambda: records.write_bytes(b""),
        records.unlink,
        lambda: (directory / "features.json").write_text("{"),
    ):
        damage()
        for read in (tfds_text.load, prepare_tfds.check):
            with pytest.raises(BadInput) as caught:
                read("lm1b")
            assert str(directory) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(languages="en-nl"), "languages: unknown 'en-nl'; choose from en-cs, cs-en"),
        (dict(limit=0), "limit: 0 must be at least 1"),
        (dict(max_length=0), "max_length: 0 must be at least 1"),
    ],
)
def test_a_wrong_key_of_a_translation_is_refused_before_anything_is_read(empty, options, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        DATASETS["wmt14_translate"](**options)


def test_check_counts_what_is_prepared_and_debian_has_none(folders, capsys):
    prepare_data.main(["wmt14_translate/fr-en", "--check"])
    assert capsys.readouterr().out.endswith(
        "30 train, 4 validation, 6 test; 100 records of each read\n"
    )
    with pytest.raises(BadInput, match="Debian has no lm1b; use --origin=tfds"):
        prepare_data.main(["lm1b", "--origin=debian"])
    with pytest.raises(BadInput, match="wmt14_translate/de-en is not prepared"):
        prepare_data.main(["wmt14_translate/de-en", "--check"])


def test_reading_imports_no_tensorflow(folders):
    script = f"""
import json, sys
from train.data import DATASETS
print(json.dumps([[DATASETS[name]().metadata["source"] for name in {list(FOLDERS)}], "tensorflow" in sys.modules]))
"""
    done = subprocess.check_output(
        [sys.executable, "-c", script], text=True, stderr=subprocess.DEVNULL, env=os.environ
    )
    assert json.loads(done) == [["tfds"] * 4, False]
