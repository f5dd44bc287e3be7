"""Examples of unequal lengths: padded rows, in buckets of similar lengths."""

import jax.numpy as jnp
import numpy as np

from train.data.source import Source


def padded(rows: list[list[int]], width: int | None = None) -> np.ndarray:
    """int32 [N, longest length], with zeros (PAD) at the ends."""
    out = np.zeros([len(rows), width or max(map(len, rows), default=1)], np.int32)
    for to, row in zip(out, rows, strict=True):
        to[: len(row)] = row
    return out


def lengths_of_buckets(lengths: np.ndarray, buckets: int) -> list[int]:
    """The maximum length of each bucket, chosen to minimise the padding of `lengths` [N].

    Raises ValueError for no buckets.
    """
    if buckets < 1:
        raise ValueError(f"buckets: {buckets} must be at least 1")
    values, counts = np.unique(lengths, return_counts=True)
    total = np.concatenate([[0], np.cumsum(counts)])
    # i -> (positions, bucket ends) with one bucket up to value i
    best = [(values[i] * total[i + 1], [i]) for i in range(len(values))]
    for _ in range(min(buckets, len(values)) - 1):
        best = [
            min(
                [best[i]]
                + [
                    (best[j][0] + values[i] * (total[i + 1] - total[j + 1]), [*best[j][1], i])
                    for j in range(i)
                ],
                key=lambda option: option[0],
            )
            for i in range(len(values))
        ]
    return [int(values[i]) for i in best[-1][1]]


def source_of(columns: dict[str, list[list[int]]], buckets: int, batch) -> Source:
    """Examples of unequal lengths, in buckets by the longest of an example's columns.

    batch(rows, lengths) -> Batch.
    """
    lengths = {
        name: np.array([len(row) for row in rows], np.int32) for name, rows in columns.items()
    }
    longest = np.max(list(lengths.values()), axis=0)
    ends = lengths_of_buckets(longest, buckets)
    bucket = np.searchsorted(ends, longest)
    widths = [
        {name: int(of[bucket == k].max()) for name, of in lengths.items()} for k in range(len(ends))
    ]
    arrays = {name: padded(rows) for name, rows in columns.items()} | {
        f"{name}_length": of for name, of in lengths.items()
    }

    def maker(width):
        def make(arrays, index, keys):
            rows = {name: arrays[name][index][:, : width[name]] for name in width}
            others = {name: arrays[name][index] for name in arrays if name not in width}
            return batch(rows, others)

        return make

    return Source(len(longest), arrays, tuple(maker(width) for width in widths), bucket)


def mask_of(tokens, lengths):
    return jnp.arange(tokens.shape[1]) < lengths[:, None]
