"""When a seed is done: it is frozen at that step, and the other seeds of its run continue."""

import dataclasses

import jax
import jax.numpy as jnp

from train.metrics import Sums

SLIDING = ("train/error", "train/sequence_error")  # metrics of single training examples


@dataclasses.dataclass(frozen=True)
class Stop:
    """A seed is done once `metric` is at most `at_most`; "" means never.

    last: how many of the last training examples the metric covers, whatever the log's intervals
    are: a window that slides by a batch (Hochreiter & Schmidhuber 1997: "the last 2000
    sequences"), checked on the device after each step. With 0 the metric is that of a record of the
    log, checked by the host in the step of the record.
    """

    metric: str = ""
    at_most: float = 0.0
    last: int = 0
    batch_size: int = 1

    def start(self) -> tuple | jax.Array:
        """The steps of the last K + 1 wrong examples, newest first, where K may be wrong.

        Empty unless the window slides. The last n examples are good enough when the oldest of these
        steps came before them.
        """
        return (
            jnp.zeros([int(self.at_most / 100 * self.last + 1e-9) + 1], jnp.int32)
            if self.last
            else ()
        )

    def seen(self, recent, step: jax.Array, sums: Sums):
        """`recent` after the step number `step`, int32 [], whose batch had the totals `sums`."""
        if not self.last:
            return recent
        wrong = (
            sums["wrong"]
            if self.metric.endswith("sequence_error")
            else sums["count"] - sums["correct"]
        )
        places = jnp.arange(len(recent))
        return jnp.where(places < wrong, step, recent[jnp.maximum(places - wrong, 0)])

    def met(self, recent, step):
        """Whether a seed is done, bool [...].

        recent: int32 [..., K + 1]; step: int32 [...]; numpy or jax.
        """
        return recent[..., -1] <= step - self.last // self.batch_size
