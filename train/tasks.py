"""Tasks: what the outputs are compared with, as totals over valid items."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from train.metrics import Sums

# "input", "target" and "mask": [B] or [B, T] bool. In evaluation "input" may be a tuple of views [B, V, ...], see step.predict
Batch = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Task:
    """A loss. `targets` is the kind of target it can be given: "class" or "real"; `metric` is the one it is judged by."""

    targets: str
    metric: str
    sums: Callable[[jax.Array, Batch], Sums]


def valid(mask: jax.Array, items: jax.Array) -> jax.Array:
    """The mask of the items that `items` [B] or [B, T] holds: an example of a [B, T] mask is valid if any step of it is."""
    return mask.any(axis=-1) if mask.ndim > items.ndim else mask


def classify(*, label_smoothing: float = 0.0, auxiliary_weight: float = 0.3) -> Task:
    """Cross-entropy of logits [B, C] or [B, T, C] and integer targets [B] or [B, T], in float32, in nats.

    label_smoothing: the share of the target's probability that is spread evenly over all classes, in [0, 1);
    Szegedy et al. 2015, section 7.  auxiliary_weight: where the model gives a tuple, of its logits and of those of
    auxiliary heads, each head's loss is added times this; Szegedy et al. 2014, section 5. The error is the first's.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: {label_smoothing} is outside [0, 1)")
    if auxiliary_weight < 0:
        raise ValueError(f"auxiliary_weight: {auxiliary_weight} must be at least 0")

    def cross_entropy(logits, target):
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
        loss = -jnp.take_along_axis(log_p, target[..., None], axis=-1)[..., 0]
        return (1 - label_smoothing) * loss - label_smoothing * log_p.mean(axis=-1)

    def sums(outputs, batch):
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = cross_entropy(logits, batch["target"])
        for head in auxiliary:
            loss += auxiliary_weight * cross_entropy(head, batch["target"])
        return _class_sums(loss, logits, batch)

    return Task("class", "error", sums)


def classify_rbf(*, j: float = 0.1, criterion: str = "map") -> Task:
    """The losses of LeCun et al. 1998, section II-C, on penalties y = -logits [B, C].

    "mle", eq. 8:  E = y_D;   "map", eq. 9:  E = y_D + log(exp(-j) + sum_i exp(-y_i)), j the penalty of a rubbish class.
    The paper gives no value for j; 0.1 is what re-implementations use. "mle" needs penalties that are bounded below, as
    RBF outputs are; dense logits run away.
    """
    if criterion not in ("map", "mle"):
        raise ValueError(f"criterion: unknown {criterion!r}; have map, mle")

    def sums(logits, batch):
        logits = logits.astype(jnp.float32)
        loss = -jnp.take_along_axis(logits, batch["target"][..., None], axis=-1)[..., 0]
        if criterion == "map":
            rubbish = jnp.full_like(logits[..., :1], -j)
            loss = loss + jax.nn.logsumexp(jnp.concatenate([logits, rubbish], axis=-1), axis=-1)
        return _class_sums(loss, logits, batch)

    return Task("class", "error", sums)


def _class_sums(loss, logits, batch) -> Sums:
    mask = valid(batch["mask"], loss)
    correct = (logits.argmax(axis=-1) == batch["target"]) & mask
    return dict(loss=jnp.where(mask, loss, 0).sum(), count=mask.sum(), correct=correct.sum())


def regress() -> Task:
    """Squared error of outputs [B, O] and real targets [B, O], averaged over the O outputs of an example."""

    def sums(outputs, batch):
        error = jnp.square(outputs.astype(jnp.float32) - batch["target"]).mean(axis=-1)  # [B]
        mask = valid(batch["mask"], error)
        total = jnp.where(mask, error, 0).sum()
        return dict(loss=total, count=mask.sum(), squared_error=total)

    return Task("real", "mse", sums)


TASKS = dict(classify=classify, classify_rbf=classify_rbf, regress=regress)
