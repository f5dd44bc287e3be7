"""Source: examples that lie on the device, or are made there. The host only says which ones a step takes.

What the host feeds is a function of (seed, step), so a resumed run needs no iterator state.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import numpy as np

from train.tasks import Batch


@dataclasses.dataclass(frozen=True)
class Source:
    """One split of a data set.

    arrays: resident data, on every device, leading axis N; empty where examples are generated.
    make(arrays, index int32 [B], keys [B]) -> Batch: the examples, augmented or generated with one key each; runs on the
      device inside the step. It returns no mask for examples of one length, else "mask" [B, T] of the valid time steps.
      For evaluation "input" may be a tuple with one array [B, V, H, W, C] of views for each size; see step.predict.
    examples: N, or None where examples are generated without end (training only).
    """

    examples: int | None
    arrays: Mapping[str, np.ndarray]
    make: Callable[[Mapping[str, jax.Array], jax.Array, jax.Array], Batch]

    def batch(self, arrays, index, valid, key, rows) -> Batch:
        """The examples of one device's rows of the global batch. index, rows int32 [B]; valid bool [B].

        Each example has a key of its own, `key` folded with its row: no number of devices changes it.
        """
        batch = dict(self.make(arrays, index, jax.vmap(functools.partial(jax.random.fold_in, key))(rows)))
        mask = batch.get("mask")  # [B, T] or None
        batch["mask"] = valid if mask is None else mask & valid[:, None]
        return batch


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set ready to train on.

    inputs: what its examples are, "image" [H, W, C] or "sequence" [T, I]; targets: "class" or "real";
    outputs: the number of classes, or of real targets. about: one line on where it came from; metadata: the same as data.
    """

    inputs: str
    targets: str
    outputs: int
    train: Source
    evals: Mapping[str, Source]
    about: str
    metadata: Mapping[str, object]

    @property
    def examples(self) -> dict[str, int]:
        """Split -> its number of examples; generated training data have none."""
        splits = {"train": self.train} | dict(self.evals)
        return {name: source.examples for name, source in splits.items() if source.examples is not None}


@functools.lru_cache(maxsize=256)
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(examples).astype(np.int32)


def training_order(source: Source, seed: int, step: int, steps: int, batch_size: int) -> np.ndarray:
    """int32 [steps, batch_size]: the examples of some steps of one seed; each epoch takes each example once.

    A batch may lie across the end of an epoch. For generated data the numbers are zeros: the keys make the examples.
    """
    if source.examples is None:
        return np.zeros([steps, batch_size], np.int32)
    position = np.arange(step * batch_size, (step + steps) * batch_size)
    epoch, offset = np.divmod(position, source.examples)
    index = np.empty(position.shape, np.int32)
    for e in np.unique(epoch):
        index[epoch == e] = _permutation(seed, int(e), source.examples)[offset[epoch == e]]
    return index.reshape(steps, batch_size)


def evaluation_order(source: Source, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """index int32 [n, batch_size], valid bool [n, batch_size]: each example once, the last batch padded with invalid ones."""
    batches = -(-source.examples // batch_size)
    position = np.arange(batches * batch_size).reshape(batches, batch_size)
    return np.minimum(position, source.examples - 1).astype(np.int32), position < source.examples


def hold_out(examples: int, validation: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation examples: a fixed random choice, the same for every seed."""
    if not 0 <= validation < examples:
        raise ValueError(f"validation: {validation} is outside [0, {examples})")
    order = np.random.default_rng(0).permutation(examples)
    return np.sort(order[validation:]), np.sort(order[:validation])
