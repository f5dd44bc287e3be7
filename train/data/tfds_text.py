"""Text of TFDS, from folders that it prepared as array_record.

Reading imports no TensorFlow and never uses the network.

The examples are kept in memory; `limit` sets how many of a training split are read. TFDS keeps
examples in a fixed order without meaning, so the first ones are a sample. Evaluation splits are
always whole. Training pairs may be streamed instead.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib

import numpy as np

from train.data import prepared
from train.data.buckets import mask_of, source_of
from train.data.files import Origin
from train.data.source import Dataset, Source, hold_out
from train.data.streamed_pairs import Pairs, fits, numbered, streamed_source
from train.data.text import at_least, pairs, streams
from train.data.vocabulary import Vocabulary
from train.errors import BadInput

OTHERS = ("cs", "de", "fr", "hi", "ru")  # languages that WMT 2014 translates from and to English
SPLITS = ("train", "validation", "test")
SETS = {  # TFDS's name -> (the features that are read, the splits)
    "imdb_reviews/plain_text": (("text", "label"), ("train", "test")),
    "lm1b": (("text",), ("train", "test")),
    "tiny_shakespeare": (("text",), SPLITS),
} | {f"wmt14_translate/{other}-en": ((other, "en"), SPLITS) for other in OTHERS}


def load(
    name: str,
    limit: int | None = None,
    features: tuple[str, ...] = (),
    splits: dict[str, str] | None = None,
) -> tuple[dict[str, list[tuple]], Origin]:
    """{split: [the features of an example]} of a set, and where they came from.

    Text is str and labels are int.
    features, splits: what is read, and TFDS's names of our splits; for a set in SETS, those there.
    Raises BadInput, one line, if the set is not prepared, and DataError if its folder is damaged.
    """
    directory = prepared.directory(name)
    if splits is None:
        features, ours = SETS[name]
        splits = dict(zip(ours, ours, strict=True))
    rows, note = {}, ""
    try:
        builder = prepared.builder(directory)
        for split, theirs in splits.items():
            records = builder.as_data_source(theirs)
            count = min(len(records), limit or len(records)) if split == "train" else len(records)
            if count < len(records):
                note = f", the first {count:,} of {len(records):,} training examples"
            rows[split] = []
            for start in range(0, count, 1000):
                for example in records.__getitems__(range(start, min(start + 1000, count))):
                    values = (example[feature] for feature in features)
                    rows[split].append(
                        tuple(v.decode() if isinstance(v, bytes) else int(v) for v in values)
                    )
    except Exception as error:
        raise prepared.damaged(name, directory, error) from None
    digest = hashlib.sha256(
        b"".join(json.dumps([split, row]).encode() for split in splits for row in rows[split])
    ).hexdigest()
    examples = {split: len(part) for split, part in rows.items()}
    return rows, Origin(
        "tfds",
        str(directory),
        f"TFDS {directory.name} in {directory.parent}{note}",
        examples,
        digest,
    )


def wmt14_translate(
    *,
    languages: str = "en-fr",
    vocabulary: str = "word",
    size: int = 30_000,
    max_length: int = 50,
    limit: int = 100_000,
    buckets: int = 6,
    reverse: bool = False,
    streamed: bool = False,
    workers: int = 0,
    seed: int = 0,
) -> Dataset:
    """News translation of WMT 2014, tested on newstest2014.

    languages: from and to, one of them English.
    vocabulary: a kind of Vocabulary for each language, of `size`. Bahdanau et al. 2014, section 4,
      have 30,000 words, and 50 per sentence.
    max_length: the most words and marks of a training sentence.
    buckets: by length.  reverse: the source.
    limit: training pairs that are read, before long ones are removed. Pairs with an empty side are
      left out everywhere.
    streamed: train on all pairs, read as they are needed. Rows are as wide as the longest of the
      first `limit` pairs, which also make the vocabularies. The row of a pair that is left out
      stays empty in its batch.
    workers: processes that read pairs; 0 uses threads.
    seed: of the order of pairs, the same for all seeds of a run.
    """
    both = [f"{a}-{b}" for other in OTHERS for a, b in (("en", other), (other, "en"))]
    if languages not in both:
        raise ValueError(f"languages: unknown {languages!r}; choose from {', '.join(both)}")
    at_least(max_length=max_length, limit=limit)
    for key, value in dict(workers=workers, seed=seed).items():
        if value < 0 or (value and not streamed):
            raise ValueError(
                f"{key}: {value} must be at least 0"
                if streamed
                else f"{key}: {value} needs streamed=true"
            )
    start, end = languages.split("-")
    name = f"wmt14_translate/{end if start == 'en' else start}-en"
    rows, origin = load(name, limit)
    split = {}
    for which, examples in rows.items():
        turned = [
            (english, other) if start == "en" else (other, english) for other, english in examples
        ]
        longest = max_length if which == "train" else float("inf")
        split[which] = [(pair[0], [pair[1]]) for pair in turned if fits(pair, longest)]
        if not split[which]:
            raise ValueError(f"max_length: no pair of {which} has at most {longest} words")
    vocabularies = dict(
        source=Vocabulary.build((source for source, _ in split["train"]), vocabulary, size=size),
        target=Vocabulary.build((target for _, (target,) in split["train"]), vocabulary, size=size),
    )
    of_pairs = functools.partial(
        pairs, name=f"wmt14_translate {languages}", buckets=buckets, reverse=reverse
    )
    if not streamed:
        return of_pairs(split, vocabularies, origin)
    of_both = tuple(vocabularies.values())
    sample = (
        numbered((source, target), of_both, reverse=reverse)
        for source, (target,) in split.pop("train")
    )
    widths = tuple(map(max, zip(*([*map(len, pair)] for pair in sample), strict=True)))
    folder = pathlib.Path(origin.path)
    counts, digest = prepared.contents(prepared.builder(folder), SPLITS)
    read = Pairs(
        prepared.Records(name, folder, "train"), (start, end), of_both, widths, max_length, reverse
    )
    note = (
        f"TFDS {folder.name} in {folder.parent}, streamed; vocabularies of the first "
        f"{min(limit, counts['train']):,} pairs"
    )
    origin = dataclasses.replace(origin, note=note, examples=counts, digest=digest)
    return of_pairs(
        split,
        vocabularies,
        origin,
        train=streamed_source(read, counts["train"], seed=seed, workers=workers),
    )


def lm1b(
    *, vocabulary: str = "word", size: int | None = 10_000, limit: int = 100_000, window: int = 35
) -> Dataset:
    """The one billion word benchmark, Chelba et al. 2013, as a stream.

    Its sentences are in a mixed order, each ended by EOS.
    vocabulary: "word" (the benchmark's own tokens), "char" or "bpe", of `size`.
    window: tokens per training step.
    limit: training sentences that are read, of 30 million.
    """
    at_least(limit=limit)
    rows, origin = load("lm1b", limit)
    split = {which: [text for (text,) in part] for which, part in rows.items()}
    kind = "symbol" if vocabulary == "word" else vocabulary
    return streams(split, origin, "lm1b", vocabulary=kind, size=size, window=window)


def tiny_shakespeare(
    *, vocabulary: str = "char", size: int | None = None, window: int = 50
) -> Dataset:
    """40,000 lines of Shakespeare in order as a stream; EOS ends each line.

    Karpathy 2015 (github.com/karpathy/char-rnn).
    vocabulary, size, window: as in text.kjv.
    """
    rows, origin = load("tiny_shakespeare")
    split = {
        which: "".join(t for (t,) in part).removesuffix("\n").split("\n")
        for which, part in rows.items()
    }
    return streams(
        split, origin, "tiny_shakespeare", vocabulary=vocabulary, size=size, window=window
    )


def tfds_stream(
    *,
    set: str = "tiny_shakespeare",
    test: str = "",
    text: str = "text",
    vocabulary: str = "word",
    size: int | None = 10_000,
    limit: int = 100_000,
    window: int = 35,
) -> Dataset:
    """Any TFDS set with a text feature, as a stream of its lines, each ended by EOS.

    `python -m scripts.prepare_data NAME` must have prepared it.

    set: its name, with its config if it has one.
    test: the split for testing; "" for the split named test, or else validation, or else the last
      tenth of train.
    text: the name of the feature.
    vocabulary, size, window: as in text.kjv.
    limit: training examples that are read.
    """
    at_least(limit=limit)
    info = prepared.opened(set, prepared.directory(set)).info
    prepared.features(set, info, **{text: "Text"})
    rows, origin = load(set, limit, (text,), _splits(set, info, test))
    split = {
        which: [line for (t,) in part for line in t.split("\n") if line.strip()]
        for which, part in rows.items()
    }
    return streams(split, origin, set, vocabulary=vocabulary, size=size, window=window)


def _splits(set: str, info, test: str) -> dict[str, str]:
    return dict(zip(("train", "test"), prepared.splits(set, info, test), strict=True))


def labelled_text(
    set: str,
    test: str,
    text: str,
    label: str,
    *,
    size: int = 10_000,
    max_length: int = 400,
    validation: int = 0,
    buckets: int = 6,
) -> Dataset:
    """Any TFDS set of texts with one class each.

    `python -m scripts.prepare_data NAME` must have prepared it.

    set: its name, with its config if it has one: glue/sst2.
    test: the split for testing; "" for the split named test, or else validation, or else the last
      tenth of train.
    text, label: the names of the features.
    size: the vocabulary is the `size` most frequent words and marks of training, in lower case.
    max_length: of a longer text only the last words and marks are kept, which hold the judgement.
    buckets: by length.
    validation: number of training texts held out as a split of that name.
    Raises BadInput for a label that is not a class.
    """
    at_least(max_length=max_length)
    info = prepared.opened(set, prepared.directory(set)).info
    _, classes = prepared.features(set, info, **{text: "Text", label: "ClassLabel"})
    rows, origin = load(set, None, (text, label), _splits(set, info, test))
    for which, part in rows.items():
        wrong = next((number for _, number in part if not 0 <= number < classes.num_classes), None)
        if wrong is not None:
            raise BadInput(
                f"{set} has the label {wrong} in {which}, must be from 0 to "
                f"{classes.num_classes - 1}; choose another data.test, which has labels"
            )
    train, held_out = (
        [rows["train"][i] for i in which] for which in hold_out(len(rows["train"]), validation)
    )
    split = (
        dict(train=train)
        | (dict(validation=held_out) if validation else {})
        | dict(test=rows["test"])
    )
    split = {
        which: [(text.lower().replace("<br />", " "), label) for text, label in part]
        for which, part in split.items()
    }
    words = Vocabulary.build((text for text, _ in split["train"]), "word", size=size)

    def batch(rows, others):
        return dict(
            input=rows["word"],
            target=others["label"],
            mask=mask_of(rows["word"], others["word_length"]),
        )

    def source(texts) -> Source:
        made = source_of(
            dict(word=[words.encode(text)[-max_length:] for text, _ in texts]), buckets, batch
        )
        made.arrays["label"] = np.array([label for _, label in texts], np.int32)
        return made

    return Dataset(
        inputs="tokens",
        targets="class",
        outputs=classes.num_classes,
        symbols=len(words),
        train=source(split["train"]),
        evals={which: source(part) for which, part in split.items() if which != "train"},
        about=f"{set}, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        vocabularies=dict(tokens=words),
        classes=tuple(classes.names),
    )


IMDB = "imdb_reviews/plain_text"
tfds_labelled = functools.partial(labelled_text, set=IMDB, test="", text="text", label="label")
imdb_reviews = functools.partial(labelled_text, IMDB, "test", "text", "label")
imdb_reviews.__doc__ = (
    "Film reviews, good (1) or bad (0), Maas et al. 2011: 25,000 for training, 25,000 for the test."
)
