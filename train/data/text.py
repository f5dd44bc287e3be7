"""Real text: language models, sentence and word pairs, part-of-speech tags."""

import hashlib
import itertools

import jax.numpy as jnp
import numpy as np

from train.data import texts
from train.data.buckets import mask_of, padded, source_of
from train.data.source import Dataset, Source
from train.data.universal_tags import universal
from train.data.vocabulary import KINDS, Vocabulary
from train.tasks import EOS

SPLITS = ("train", "validation", "test")


def by_blocks(lines: list, block: int = 100) -> dict[str, list]:
    """Splits into consecutive blocks of lines: of every 20, 18 train, 1 validation, 1 test.

    With fewer than 20 * `block` lines the blocks are shorter, a twentieth of the lines. Raises
    ValueError, one line, for fewer than 20 lines.
    """
    if len(lines) < 20:
        raise ValueError(f"lines: {len(lines)} are too few to split 18/1/1; use at least 20")
    block = min(block, len(lines) // 20)
    split = {"train": [], "validation": [], "test": []}
    for i, line in enumerate(lines):
        place = i // block % 20
        split["train" if place < 18 else SPLITS[place - 17]].append(line)
    return split


def by_hash(lines: list[str]) -> dict[str, list[str]]:
    """Splits about 18/1/1 by the sha256 of the text before the first tab.

    So a word is always in the same split.
    """
    split = {"train": [], "validation": [], "test": []}
    for line in lines:
        place = (
            int.from_bytes(hashlib.sha256(line.split("\t")[0].encode()).digest()[:4], "big") % 20
        )
        split["train" if place < 18 else SPLITS[place - 17]].append(line)
    return split


def require_examples(split: dict[str, list]) -> None:
    """Raises ValueError, one line that names the splits without an example."""
    if empty := [which for which, examples in split.items() if not examples]:
        raise ValueError(f"no example for {', '.join(empty)}; use more lines")


def pairs(
    split,
    vocabularies,
    origin,
    name: str,
    *,
    buckets: int,
    reverse: bool,
    train: Source | None = None,
) -> Dataset:
    """A data set from {split: [(source, [targets])]}.

    In training an example is a source and one target. In evaluation it is a source, and any of its
    targets is right. train: replaces the training split if it is streamed.
    """
    require_examples(split)
    source, target = vocabularies["source"], vocabularies["target"]

    def batch(rows, others):
        mask = mask_of(rows["source"], others["source_length"])
        references = {"references": others["references"]} if "references" in others else {}
        return dict(
            input=dict(source=rows["source"], target=rows["target"]), mask=mask, **references
        )

    def encoded(text):
        numbers = source.encode(text)
        return numbers[::-1] if reverse else numbers

    sources = {}
    for which, examples in split.items():
        each = [
            (s, t, targets)
            for s, targets in examples
            for t in (targets if which == "train" else targets[:1])
        ]
        columns = dict(
            source=[encoded(s) for s, _, _ in each],
            target=[[*target.encode(t), EOS] for _, t, _ in each],
        )
        made = source_of(columns, buckets if which in SPLITS else 1, batch)
        if which != "train":
            answers = [[target.encode(t) for t in targets] for _, _, targets in each]
            width = max(len(row) for rows in answers for row in rows)
            most = max(map(len, answers))
            references = np.stack(
                [padded([*rows, *[[]] * (most - len(rows))], width) for rows in answers]
            )
            made.arrays["references"] = references
        sources[which] = made
    return Dataset(
        inputs="pair",
        targets="text",
        outputs=len(target),
        symbols=len(source),
        train=train or sources["train"],
        evals={which: source for which, source in sources.items() if which != "train"},
        about=f"{name}, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        vocabularies=vocabularies,
        reversed=reverse,
    )


def cmudict(
    *, buckets: int = 6, reverse: bool = False, train_length: int = 0, lengths: tuple[int, ...] = ()
) -> Dataset:
    """Grapheme to phoneme: the CMU Pronouncing Dictionary's 126,052 words, phones without stress.

    Words are split by a hash, about 90/5/5%, so results are not comparable with published ones. In
    evaluation all pronunciations of a word are right.
    buckets: by length.
    reverse: the source (Sutskever et al. 2014, section 3.3).
    train_length: the most letters of words for training, 0 for no limit.
    lengths: ends of parts by letters: (6, 9) puts test words of 1 to 6 letters into the split
      "test_1_to_6", and those of 7 to 9 into "test_7_to_9" (Bahdanau et al. 2014, figure 2).
    Raises ValueError, one line, if no word has such a length.
    """
    lines, origin = texts.load("cmudict")
    split = {
        which: [(word, said) for word, *said in (line.split("\t") for line in part)]
        for which, part in by_hash(lines).items()
    }
    vocabularies = dict(
        source=Vocabulary.build((word for word, _ in split["train"]), "char"),
        target=Vocabulary.build(
            (phones for _, said in split["train"] for phones in said), "symbol"
        ),
    )
    if not all(isinstance(length, int) for length in lengths):
        raise ValueError(f"lengths: {lengths} must be whole numbers, such as (6, 9)")
    whole = split.pop("test")
    if train_length:
        split["train"] = [
            (word, said) for word, said in split["train"] if len(word) <= train_length
        ]
    for low, high in itertools.pairwise((0, *lengths)):
        split[f"test_{low + 1}_to_{high}"] = [
            (word, said) for word, said in whole if low < len(word) <= high
        ]
    empty = [which for which, part in split.items() if not part]
    if empty:
        raise ValueError(
            f"{'train_length' if 'train' in empty else 'lengths'}: no word for {', '.join(empty)}"
        )
    return pairs(
        split | {"test": whole}, vocabularies, origin, "cmudict", buckets=buckets, reverse=reverse
    )


def kjv_reina_valera(
    *,
    vocabulary: str = "word",
    size: int = 8000,
    max_length: int = 30,
    buckets: int = 6,
    reverse: bool = False,
) -> Dataset:
    """English to Spanish: verses of the King James Version and of Reina-Valera 1909.

    max_length: the most tokens of a verse in either language.
    vocabulary: a kind of Vocabulary for both, of `size`.  buckets: by length.  reverse: the source.
    Blocks of 100 verses are split 18/1/1.
    """
    at_least(max_length=max_length)
    lines, origin = texts.load("kjv_reina_valera")
    words = KINDS["word"][0]
    split = {}
    for which, part in by_blocks(lines).items():
        verses = [line.split("\t") for line in part]
        split[which] = [
            (e, [s]) for e, s in verses if max(len(words(e)), len(words(s))) <= max_length
        ]
        if not split[which]:
            raise ValueError(f"max_length: no verse of {which} has at most {max_length} words")
    vocabularies = dict(
        source=Vocabulary.build((english for english, _ in split["train"]), vocabulary, size=size),
        target=Vocabulary.build(
            (spanish for _, (spanish,) in split["train"]), vocabulary, size=size
        ),
    )
    return pairs(split, vocabularies, origin, "kjv_reina_valera", buckets=buckets, reverse=reverse)


def streams(
    split: dict[str, list[str]],
    origin,
    name: str,
    *,
    vocabulary: str,
    size: int | None,
    window: int,
) -> Dataset:
    """Lines one after the other, each ended by EOS, to be predicted token by token."""
    at_least(window=window)
    require_examples(split)
    symbols = Vocabulary.build(split["train"], vocabulary, size=size)

    def make(arrays, index, keys):
        places = index[:, None] + jnp.arange(window)  # [B, T]
        stream = arrays["stream"]
        last = stream.shape[0] - 1
        tokens, target = (stream[jnp.minimum(p, last)] for p in (places, places + 1))
        return dict(input=tokens, target=target, mask=places < last)

    def source(lines):
        stream = np.array(
            [number for line in lines for number in (*symbols.encode(line), EOS)], np.int32
        )
        return Source(-(-(len(stream) - 1) // window), dict(stream=stream), make, window=window)

    return Dataset(
        inputs="stream",
        targets="classes",
        outputs=len(symbols),
        symbols=len(symbols),
        train=source(split["train"]),
        evals={which: source(lines) for which, lines in split.items() if which != "train"},
        about=f"{name} by {vocabulary}, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        vocabularies=dict(tokens=symbols),
    )


def kjv(
    *, vocabulary: str = "word", size: int | None = None, window: int = 35, limit: int | None = None
) -> Dataset:
    """The King James Version, 31,102 verses in order, as a stream; each verse ends with EOS.

    vocabulary: "word" (words with their case, and marks), "char" or "bpe", from the training
      verses, of `size`; other words are UNK.
    window: tokens per training step.
    limit: reads only so many training verses, the first ones; None for all.
    Blocks of 100 verses are split 18/1/1.
    """
    at_least(limit=1 if limit is None else limit)
    lines, origin = texts.load("kjv")
    split = by_blocks(lines)
    split["train"] = split["train"][:limit]
    return streams(split, origin, "kjv", vocabulary=vocabulary, size=size, window=window)


def brown(*, vocabulary: str = "word", size: int | None = 10_000, window: int = 35) -> Dataset:
    """The Brown corpus, 57,340 sentences in order, as a stream.

    vocabulary, size, window: as in `kjv`, but words are the corpus's own tokens.
    """
    lines, origin = texts.load("brown")
    plain = [" ".join(word.rsplit("/", 1)[0] for word in line.split()) for line in lines]
    kind = "symbol" if vocabulary == "word" else vocabulary
    return streams(by_blocks(plain), origin, "brown", vocabulary=kind, size=size, window=window)


TAGSETS = ("full", "universal")


def brown_tags(*, tagset: str = "universal", least: int = 2, buckets: int = 10) -> Dataset:
    """The part of speech of each word of the Brown corpus's sentences.

    tagset: "universal", 12 tags, or "full", all 472.  buckets: by length.
    least: how often a lower-cased word must occur in training to be known; others are UNK.
    Blocks of 100 sentences are split 18/1/1. A tag of the full set that does not occur in training
    counts as UNK, a wrong answer.
    """
    if tagset not in TAGSETS:
        raise ValueError(f"tagset: unknown {tagset!r}; choose from {', '.join(TAGSETS)}")
    at_least(least=least)
    lines, origin = texts.load("brown")
    split = {}
    for which, part in by_blocks(lines).items():
        sentences = [[word.rsplit("/", 1) for word in line.split()] for line in part]
        as_said = universal if tagset == "universal" else str
        split[which] = [
            ([w.lower() for w, _ in words], [as_said(tag) for _, tag in words])
            for words in sentences
        ]
    require_examples(split)
    words = Vocabulary.build((" ".join(w) for w, _ in split["train"]), "symbol", least=least)
    tags = Vocabulary.build((" ".join(t) for _, t in split["train"]), "symbol")

    def batch(rows, others):
        mask = mask_of(rows["word"], others["word_length"])
        return dict(input=rows["word"], target=rows["tag"], mask=mask)

    def source(sentences):
        columns = dict(
            word=[words.encode(" ".join(w)) for w, _ in sentences],
            tag=[tags.encode(" ".join(t)) for _, t in sentences],
        )
        return source_of(columns, buckets, batch)

    return Dataset(
        inputs="tokens",
        targets="classes",
        outputs=len(tags),
        symbols=len(words),
        train=source(split["train"]),
        evals={which: source(split[which]) for which in ("validation", "test")},
        about=f"brown, {tagset} tags, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        vocabularies=dict(tokens=words, tags=tags),
    )


def at_least(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{name}: {number} must be at least 1")
