"""TFDS sentence pairs, streamed: the host reads, tokenises and numbers them ahead of the step."""

import dataclasses

import numpy as np

from train.data import prepared
from train.data.buckets import mask_of
from train.data.source import Source, Stream
from train.data.vocabulary import KINDS, Vocabulary
from train.tasks import EOS


def fits(pair: tuple[str, str], most: float) -> bool:
    """Whether each side has at least one word or mark, and at most `most`."""
    lengths = [len(KINDS["word"][0](text)) for text in pair]
    return min(lengths) > 0 and max(lengths) <= most


@dataclasses.dataclass(frozen=True)
class Pairs:
    """source.Stream's `read`: each pair in a row of fixed width.

    features: the names of the source and the target in a record.
    widths: of their rows, in symbols, including EOS.
    max_length: the most words and marks of a side.
    A pair that exceeds either limit, or has an empty side, leaves its row empty and does not count.
    """

    records: prepared.Records
    features: tuple[str, str]
    vocabularies: tuple[Vocabulary, Vocabulary]
    widths: tuple[int, int]
    max_length: int
    reverse: bool

    def __call__(self, index: np.ndarray, positions: np.ndarray | None) -> dict[str, np.ndarray]:
        """{"source": int32 [n, S], "source_length": int32 [n], "target": int32 [n, T]}.

        Rows are padded with PAD.
        """
        rows = blank(self.widths, len(index))
        for n, example in enumerate(self.records(index)):
            pair = tuple(example[feature].decode() for feature in self.features)
            source, target = numbered(pair, self.vocabularies, reverse=self.reverse)
            if (
                fits(pair, self.max_length)
                and len(source) <= self.widths[0]
                and len(target) <= self.widths[1]
            ):
                rows["source"][n, : len(source)], rows["target"][n, : len(target)] = source, target
                rows["source_length"][n] = len(source)
        return rows


def blank(widths: tuple[int, int], rows: int) -> dict[str, np.ndarray]:
    shapes = dict(source=(rows, widths[0]), source_length=(rows,), target=(rows, widths[1]))
    return {name: np.zeros(shape, np.int32) for name, shape in shapes.items()}


def numbered(pair: tuple[str, str], vocabularies, *, reverse: bool) -> tuple[list[int], list[int]]:
    """The numbers of a source, and of its target with EOS."""
    source, target = (
        vocabulary.encode(text) for vocabulary, text in zip(vocabularies, pair, strict=True)
    )
    return source[::-1] if reverse else source, [*target, EOS]


def streamed_source(read: Pairs, examples: int, *, seed: int, workers: int) -> Source:
    """All pairs of a training split, including those that do not count, each once per epoch.

    `seed` sets the order.
    """

    def make(arrays, index, keys):
        pair = dict(source=arrays["source"], target=arrays["target"])
        return dict(input=pair, mask=mask_of(arrays["source"], arrays["source_length"]))

    return Source(examples, blank(read.widths, 1), make, stream=Stream(read, seed, workers))
