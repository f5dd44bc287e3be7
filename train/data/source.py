"""Source: examples that are kept on the device, generated there, or streamed to it by the host.

What the host provides, numbers of examples or whole batches, is a function of (seed, step). So a
resumed run needs no iterator state.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import numpy as np

from train.tasks import Batch

Make = Callable[[Mapping[str, jax.Array], jax.Array, jax.Array], Batch]


@dataclasses.dataclass(frozen=True)
class Stream:
    """How the host reads the examples of a split that does not fit on the device.

    See streamed.Reader.

    read(index int [n], positions int [n] or None) -> {name: [n, ...]}: the arrays of some examples
      that `Source.make` receives. positions are those of the examples in the order of training;
      random changes are drawn from them. They are None in evaluation. `read` is pickled to other
      processes.
    seed: of the order of training, the same for all seeds of a run.
    workers: processes that read; 0 uses threads of this process.
    """

    read: Callable[[np.ndarray, np.ndarray | None], dict[str, np.ndarray]]
    seed: int = 0
    workers: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """One split of a data set.

    arrays: resident data, on every device, leading axis N; empty if examples are generated; one
      blank example if they are streamed.
    make(arrays, index int32 [B], keys [B]) -> Batch: the examples, augmented or generated with one
      key each. It runs on the device inside the step. It returns no mask for images; for sequences
      it returns "mask" bool [B, T], the valid time steps. train.examples checks what it returns.
      For evaluation "input" may be a tuple with one array [B, V, H, W, C] of views for each size;
      see step.predict.
    examples: N, or None if examples are generated without end (training only).
    bucket: int [N], which function makes each example (`make` is then a tuple). Examples of similar
      length share a batch of that length.
    window: T, if `arrays` hold one long sequence of n items and an example is a window of it.
      `index` is then its first item. make gives T items and, as targets, the items one later,
      masked from item n - 1 on; N = ceil((n - 1) / T). A batch of B windows goes through B equal
      parts of the sequence side by side.
    stream: if set, the host reads the examples. Then `arrays` holds those of the batch, and make
      ignores `index`.
    """

    examples: int | None
    arrays: Mapping[str, np.ndarray]
    make: Make | tuple[Make, ...]
    bucket: np.ndarray | None = None
    window: int | None = None
    stream: Stream | None = None

    @property
    def makes(self) -> tuple[Make, ...]:
        return self.make if isinstance(self.make, tuple) else (self.make,)

    @functools.cached_property
    def members(self) -> list[np.ndarray]:
        """The indices of the examples in each bucket."""
        return [np.flatnonzero(self.bucket == k).astype(np.int32) for k in range(len(self.makes))]

    def steps_per_epoch(self, batch_size: int) -> float | None:
        if self.examples is None:
            return None
        if self.window:
            return self.examples // batch_size
        if self.bucket is None:
            return self.examples / batch_size
        return sum(-(-len(rows) // batch_size) for rows in self.members)

    def batch(self, arrays, feed, key, rows, bucket: int = 0) -> Batch:
        """The examples of one device's rows of the global batch.

        feed: one step of an order below, [B] each; rows int32 [B].

        Each example has its own key, `key` folded with its row, which does not depend on the number
        of devices.
        """
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(rows)
        batch = dict(self.makes[bucket](arrays, feed["index"], keys))
        valid, mask = feed["valid"], batch.get("mask")  # [B, T] or None
        batch["mask"] = valid if mask is None else mask & valid[:, None]
        return batch | {"fresh": feed["fresh"]} if self.window else batch


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set ready to train on.

    inputs: the kind of its examples: "image" [H, W, C]; "sequence" [T, I]; "tokens" int32 [T];
      "stream", windows of one long sequence [T, I] or int32 [T]; "pair", dict(source=int32 [S],
      target=int32 [T]), where the target ends with EOS.
    targets: "class" int or "real" [O], one per example; "classes" int [T] or "reals" [T, O], one
      per time step; "text", for pairs. A class is from 0 to outputs - 1.
    outputs: the number of classes, of real targets, or of symbols of the target; symbols: the
      number of input symbols, if the input is tokens.
    about: one line on where it came from; metadata: the same as data.
    vocabularies: "tokens", "source", "target", ... -> the meaning of its numbers; saved with a run.
    classes: the names of the classes, in the order of their numbers; () if they have none.
    reversed: whether the sources of its pairs are reversed (data.reverse).
    """

    inputs: str
    targets: str
    outputs: int
    train: Source
    evals: Mapping[str, Source]
    about: str
    metadata: Mapping[str, object]
    symbols: int | None = None
    vocabularies: Mapping[str, object] = dataclasses.field(default_factory=dict)
    reversed: bool = False
    classes: tuple[str, ...] = ()

    @property
    def examples(self) -> dict[str, int]:
        """Split -> its number of examples, without generated training data."""
        splits = {"train": self.train} | dict(self.evals)
        return {
            name: source.examples for name, source in splits.items() if source.examples is not None
        }


# {"index": int32 [K, B], "valid": bool [K, B], ...}, bucket int32 [K]
Order = tuple[dict[str, np.ndarray], np.ndarray]


def permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    """The order of the examples in an epoch, int32 [N]."""
    return np.random.default_rng([seed, epoch]).permutation(examples).astype(np.int32)


_permutation = functools.lru_cache(maxsize=256)(permutation)


@functools.lru_cache(maxsize=64)
def _bucketed(
    source: Source, batch_size: int, seed: int | None, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Index [n, B], with -1 for an empty row, and bucket [n], of one epoch; each example once.

    With seed None they are in order. The order of the buckets is the same for every seed, so that
    seeds can go through them together.
    """
    batches, which = [], []
    for k, rows in enumerate(source.members):
        order = (
            rows
            if seed is None
            else rows[np.random.default_rng([seed, epoch, k]).permutation(len(rows))]
        )
        batches.append(
            np.pad(order, (0, -len(order) % batch_size), constant_values=-1).reshape(-1, batch_size)
        )
        which.append(np.full(len(batches[-1]), k, np.int32))
    mixed = np.arange(sum(map(len, which)))
    if seed is not None:
        np.random.default_rng([epoch]).shuffle(mixed)
    return np.concatenate(batches)[mixed], np.concatenate(which)[mixed]


def training_order(source: Source, seed: int, step: int, steps: int, batch_size: int) -> Order:
    """The examples of some steps of one seed; each epoch takes each example once.

    A batch may span two epochs, with two exceptions. With buckets, the last rows of a bucket's last
    batch are not valid. With windows of one long sequence, a last part is left out. For generated
    and streamed data the numbers are zeros: the keys, or the host, make the examples.
    """
    first, shape = np.zeros(steps, np.int32), (steps, batch_size)
    if source.examples is None or source.stream:
        return dict(index=np.zeros(shape, np.int32), valid=np.ones(shape, bool)), first
    if source.window:
        return _windows(
            source, np.arange(step, step + steps), source.examples // batch_size, batch_size
        ), first
    if source.bucket is not None:
        epoch, offset = np.divmod(np.arange(step, step + steps), source.steps_per_epoch(batch_size))
        epochs = {e: _bucketed(source, batch_size, seed, int(e)) for e in np.unique(epoch)}
        index = np.stack([epochs[e][0][i] for e, i in zip(epoch, offset, strict=True)])
        bucket = np.stack([epochs[e][1][i] for e, i in zip(epoch, offset, strict=True)])
        return dict(index=np.maximum(index, 0), valid=index >= 0), bucket
    position = np.arange(step * batch_size, (step + steps) * batch_size)
    epoch, offset = np.divmod(position, source.examples)
    index = np.empty(position.shape, np.int32)
    for e in np.unique(epoch):
        index[epoch == e] = _permutation(seed, int(e), source.examples)[offset[epoch == e]]
    return dict(index=index.reshape(shape), valid=np.ones(shape, bool)), first


def evaluation_order(source: Source, batch_size: int, parts: int) -> Order:
    """Each example once, the last batch padded with invalid ones.

    parts: for windows of one long sequence, at most batch_size: how many rows of a batch are read
      side by side; the others are not valid.
    """
    if source.bucket is not None:
        index, bucket = _bucketed(source, batch_size, None, 0)
        return dict(index=np.maximum(index, 0), valid=index >= 0), bucket
    batches = -(-source.examples // batch_size)
    first = np.zeros(batches, np.int32)
    if source.window:
        batches = -(-source.examples // parts)
        feed = _windows(source, np.arange(batches), batches, parts)
        return {k: np.pad(x, [(0, 0), (0, batch_size - parts)]) for k, x in feed.items()}, np.zeros(
            batches, np.int32
        )
    position = np.arange(batches * batch_size).reshape(batches, batch_size)
    return dict(
        index=np.minimum(position, source.examples - 1).astype(np.int32),
        valid=position < source.examples,
    ), first


def _windows(
    source: Source, step: np.ndarray, steps: int, batch_size: int
) -> dict[str, np.ndarray]:
    """Row b of step k is window k of the b-th of B parts, with `steps` windows each.

    "fresh" marks the beginning of a part.
    """
    within = (step % steps)[:, None]  # [K, 1]
    window = np.arange(batch_size) * steps + within  # [K, B]
    valid = window < source.examples
    index = np.where(valid, window * source.window, 0).astype(np.int32)
    return dict(index=index, valid=valid, fresh=np.broadcast_to(within == 0, index.shape))


def hold_out(examples: int, validation: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and the validation examples: a fixed random choice for all seeds."""
    if not 0 <= validation < examples:
        raise ValueError(f"validation: {validation} is outside [0, {examples})")
    order = np.random.default_rng(0).permutation(examples)
    return np.sort(order[validation:]), np.sort(order[:validation])
