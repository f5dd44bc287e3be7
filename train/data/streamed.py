"""Streamed data: batches that grain reads on the host ahead of the step.

No step needs the state of an iterator. Position p of training, row p % B of step p // B, is example
p % N of the order of epoch p // N, a function of (seed, p). So the batch of a step is the same
after a resumption, for any number of worker processes, and however hosts divide its rows.
"""

import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator

import numpy as np

from train.data.source import Source, Stream, permutation
from train.errors import BadInput

CHUNK = 32  # examples that a thread or worker process reads at a time
ENDLESS = 2**40  # chunks

_permutation = functools.lru_cache(maxsize=2)(permutation)  # an epoch of ImageNet is 5 MB


class Chunks:
    """The rows [first, last) of batches from `step` on, in chunks of at most CHUNK rows.

    This is a source for grain's MapDataset.
    """

    def __init__(
        self,
        stream: Stream,
        examples: int,
        batch_size: int,
        rows: tuple[int, int],
        step: int,
        training: bool,
    ):
        self.stream, self.examples, self.batch_size, self.rows = stream, examples, batch_size, rows
        self.step, self.training = step, training
        self.per_batch = -(-(rows[1] - rows[0]) // CHUNK)

    def __len__(self) -> int:
        return (
            ENDLESS
            if self.training
            else -(-self.examples // self.batch_size) * self.per_batch - self.step * self.per_batch
        )

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        step, chunk = divmod(number, self.per_batch)
        first = self.rows[0] + chunk * CHUNK
        position = (self.step + step) * self.batch_size + np.arange(
            first, min(first + CHUNK, self.rows[1])
        )
        # as source.evaluation_order: the last batch is filled with examples that do not count
        if not self.training:
            return self.stream.read(np.minimum(position, self.examples - 1), None)
        epoch, offset = np.divmod(position, self.examples)
        index = [
            _permutation(self.stream.seed, int(e), self.examples)[o]
            for e, o in zip(epoch, offset, strict=True)
        ]
        return self.stream.read(np.array(index), position)


class Reader:
    """Returns the batches of a streamed source in order, and reads ahead by `workers` or threads.

    workers: the number of processes; 0 uses threads.
    rows: the rows of the global batch that this host holds, [first, last). If a call asks for a
    step that is not the next one, reading restarts there.
    """

    def __init__(self, source: Source, batch_size: int, rows: tuple[int, int], *, training: bool):
        self.source, self.batch_size, self.rows, self.training = source, batch_size, rows, training
        self.next, self.chunks = None, None

    def take(self, step: int, steps: int, length: int) -> dict[str, np.ndarray]:
        """{name: [length, rows, ...]}: `steps` batches from `step` on, then zeros.

        Raises DataError for a damaged example.
        """
        if step != self.next:
            self.close()
            self.chunks = self._read(step)
        size = self.rows[1] - self.rows[0]
        batches = {
            name: np.zeros([length, size, *x.shape[1:]], x.dtype)
            for name, x in self.source.arrays.items()
        }
        try:
            for k in range(steps):
                for first in range(0, size, CHUNK):
                    for name, x in next(self.chunks).items():
                        batches[name][k, first : first + CHUNK] = x
        except RuntimeError as error:  # grain's, if a worker was killed
            raise BadInput(f"data.workers: {error}; use fewer, or 0") from error
        self.next = step + steps
        return batches

    def _read(self, step: int) -> Iterator[dict[str, np.ndarray]]:
        import grain
        from absl import flags

        chunks = Chunks(
            self.source.stream,
            self.source.examples,
            self.batch_size,
            self.rows,
            step,
            self.training,
        )
        workers = self.source.stream.workers
        threads = (
            1
            if workers
            else len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count()
        )
        options = grain.ReadOptions(
            threads, prefetch_buffer_size=1 if workers else max(threads, chunks.per_batch)
        )
        data = grain.MapDataset.source(chunks).to_iter_dataset(options)
        if workers:
            if not flags.FLAGS.is_parsed():  # grain's workers read their flags from there
                flags.FLAGS.mark_as_parsed()
            ahead = -(-chunks.per_batch // workers)
            data = data.mp_prefetch(
                grain.MultiprocessingOptions(workers, ahead), worker_init_fn=_in_worker
            )
        return iter(data)

    def close(self) -> None:
        """Ends the worker processes or threads."""
        if self.chunks is not None:
            self.chunks.close()
        self.next = self.chunks = None


def _in_worker(*_) -> None:
    """Makes a worker ignore signals, and end with the process that trains.

    That process handles signals, and may still need data to reach a checkpoint.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
