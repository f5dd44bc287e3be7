"""Tasks: how outputs are compared with targets, as totals over valid items."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from architectures.decoding import BOS, EOS, PAD  # noqa: F401, imported from here elsewhere
from architectures.layers import masked
from train.metrics import Sums

# "input", "target" and "mask": [B] or [B, T] bool. In evaluation "input" may be a tuple of views
# [B, V, ...], see step.predict; of pairs it is {"source": int32 [B, S], "target": int32 [B, T]}
# with the mask of the source. Some data sets add, [B, T, ...]: "scored" (the steps that count as
# right or wrong), "legal" and "likelihood" (see regress), "references" (see transduce)
Batch = dict[str, jax.Array]
UNK = 3  # the number of UNK in every vocabulary of text, after PAD, BOS and EOS


@dataclasses.dataclass(frozen=True)
class Task:
    """A loss.

    targets: the kinds of target it accepts, see data.source.Dataset. metric: what it is judged by.
    exact: a network must answer each target with Dataset.outputs numbers; False for a loss that
    takes others, as that of a mixture of densities does.
    """

    targets: tuple[str, ...]
    metric: str
    sums: Callable[[jax.Array, Batch], Sums]
    exact: bool = True


def valid(mask: jax.Array, items: jax.Array) -> jax.Array:
    """The mask of the items in `items`, [B] or [B, T].

    An example of a [B, T] mask is valid if any of its steps is.
    """
    return mask.any(axis=-1) if mask.ndim > items.ndim else mask


def _only_valid(mask, *trees):
    """The trees with 0 where the mask is False.

    So nothing there, NaN or -100, gets into a loss or its gradient.
    """
    return jax.tree.map(lambda x: masked(x, mask), trees)


def _log_loss(scores, target):
    """-scores[..., target]. NaN for a target outside the classes; -1 is not the last class."""
    places = jnp.where(target < 0, scores.shape[-1], target)[..., None]
    return -jnp.take_along_axis(scores, places, axis=-1, mode="fill")[..., 0]


def classify(*, label_smoothing: float = 0.0, auxiliary_weight: float = 0.3) -> Task:
    """Cross-entropy, in nats, of class logits and integer targets.

    Logits [B, C] or [B, T, C], targets [B] or [B, T]; computed in float32.

    label_smoothing: the share of the target's probability that is spread evenly over all classes,
      in [0, 1); Szegedy et al. 2015, section 7.
    auxiliary_weight: where the model returns a tuple, its logits and those of auxiliary heads, each
      head's loss is added times this; Szegedy et al. 2014, section 5. The error is that of the
      first.
    Where there are 100 classes or more, top5_error too: the target is not among the five most
    probable.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing: {label_smoothing} is outside [0, 1)")
    if auxiliary_weight < 0:
        raise ValueError(f"auxiliary_weight: {auxiliary_weight} must be at least 0")

    def cross_entropy(logits, target):
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
        loss = _log_loss(log_p, target)
        return (1 - label_smoothing) * loss - label_smoothing * log_p.mean(axis=-1)

    def sums(outputs, batch):
        mask = valid(batch["mask"], batch["target"])
        outputs, target = _only_valid(mask, outputs, batch["target"])
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = cross_entropy(logits, target)
        for head in auxiliary:
            loss += auxiliary_weight * cross_entropy(head, target)
        sums = _class_sums(loss, logits, target, mask, batch)
        return sums | _top5(logits, target, mask)

    return Task(("class", "classes"), "error", sums)


def _top5(logits, target, mask) -> Sums:
    if logits.shape[-1] < 100 or logits.ndim > 2:
        return {}
    target = target[..., None]
    own = jnp.take_along_axis(logits, target, axis=-1)
    # the first of equal logits counts as above, as argmax has it
    ties = (logits == own) & (jnp.arange(logits.shape[-1]) < target)
    above = (~(logits <= own) | ties).sum(axis=-1)  # NaN counts as above too
    return dict(among5=((above < 5) & mask).sum())


def classify_rbf(*, j: float = 0.1, criterion: str = "map") -> Task:
    """The losses of LeCun et al. 1998, section II-C, on penalties y = -logits [B, C].

    criterion: "mle", eq. 8:  E = y_D;
      "map", eq. 9:  E = y_D + log(exp(-j) + sum_i exp(-y_i)), where j is that of a rubbish class.
    The paper gives no value for j; 0.1 is what re-implementations use. "mle" needs penalties that
    are bounded below, as RBF outputs are; dense logits diverge.
    """
    if criterion not in ("map", "mle"):
        raise ValueError(f"criterion: unknown {criterion!r}; choose from map, mle")

    def sums(logits, batch):
        mask = valid(batch["mask"], batch["target"])
        logits, target = _only_valid(mask, logits.astype(jnp.float32), batch["target"])
        loss = _log_loss(logits, target)
        if criterion == "map":
            rubbish = jnp.full_like(logits[..., :1], -j)
            loss = loss + jax.nn.logsumexp(jnp.concatenate([logits, rubbish], axis=-1), axis=-1)
        return _class_sums(loss, logits, target, mask, batch)

    return Task(("class",), "error", sums)


def _class_sums(loss, logits, target, mask, batch) -> Sums:
    correct = (logits.argmax(axis=-1) == target) & mask
    sums = dict(loss=jnp.where(mask, loss, 0).sum(), count=mask.sum())
    if "scored" in batch:
        return sums | dict(
            correct=(correct & batch["scored"]).sum(), answers=(mask & batch["scored"]).sum()
        )
    return sums | dict(correct=correct.sum())


def language_model(*, per: str = "token") -> Task:
    """Cross-entropy, in nats, of logits [B, T, V] and the next items [B, T].

    It is judged by perplexity = exp(mean over items).

    per: what the loss, and so its gradient, is a mean over: "token", or "row": summed over a
    window's items, as in the code of Zaremba et al. 2014.
    """
    if per not in ("row", "token"):
        raise ValueError(f"per: unknown {per!r}; choose from row, token")

    def sums(logits, batch):
        mask = batch["mask"]
        losses = _token_losses(*_only_valid(mask, logits, batch["target"]))
        total = jnp.where(mask, losses, 0).sum()
        count = mask.sum() if per == "token" else mask.any(axis=-1).sum()
        return dict(loss=total, count=count, nats=total, tokens=mask.sum())

    return Task(("classes",), "perplexity", sums)


def _token_losses(logits, target):
    return _log_loss(jax.nn.log_softmax(logits.astype(jnp.float32)), target)


def transduce(*, per: str = "token") -> Task:
    """Cross-entropy, in nats, of logits [B, T, V] and a target that ends with EOS and PAD.

    In evaluation it is judged by the greedy decode: token_error, the edits to the nearest of
    "references" int32 [B, R, T] in percent of its length (phone or word error rate), and
    sequence_error, the share of decodes that equal none of them.
    per: what the loss is a mean over, "token", or "sequence", as in Sutskever et al. 2014 and
      Bahdanau et al. 2014.
    """
    if per not in ("sequence", "token"):
        raise ValueError(f"per: unknown {per!r}; choose from sequence, token")

    def sums(outputs, batch):
        logits, tokens = (
            (outputs["logits"], outputs["tokens"]) if isinstance(outputs, dict) else (outputs, None)
        )
        target, row = batch["input"]["target"], batch["mask"].any(axis=-1)
        mask = (target != PAD) & row[:, None]
        total = jnp.where(mask, _token_losses(*_only_valid(mask, logits, target)), 0).sum()
        totals = dict(
            loss=total,
            count=mask.sum() if per == "token" else row.sum(),
            nats=total,
            tokens=mask.sum(),
        )
        if tokens is None:
            return totals
        edits, lengths = nearest_reference(tokens, batch["references"])
        edits, lengths = jnp.where(row, edits, 0), jnp.where(row, lengths, 0)
        wrong = (edits > 0) & row
        return totals | dict(
            edits=edits.sum(), reference=lengths.sum(), wrong=wrong.sum(), sequences=row.sum()
        )

    return Task(("text",), "token_error", sums)


def nearest_reference(tokens, references):
    """Levenshtein distance from tokens [B, T] to the nearest of references [B, R, L].

    Returns the distance and the length of that reference, int32 [B] each.

    Both end before their first EOS or PAD. An empty reference does not count, unless it is the
    first. UNK is right for a word that the vocabulary lacks, so errors of vocabularies of unequal
    size cannot be compared.
    """
    ended = (references == EOS) | (references == PAD)
    lengths = jnp.where(ended.any(axis=-1), ended.argmax(axis=-1), references.shape[-1])  # [B, R]
    places = jnp.arange(references.shape[-1] + 1)
    over = ((tokens == EOS) | (tokens == PAD)).cumsum(axis=-1) > 0  # [B, T]

    # previous [B, R, L + 1]: distances of the tokens so far to each beginning of a reference
    def row(previous, inputs):
        token, over = inputs
        replaced = previous[..., :-1] + (references != token[:, None, None])
        new = jnp.concatenate(
            [previous[..., :1] + 1, jnp.minimum(replaced, previous[..., 1:] + 1)], axis=-1
        )
        new = jax.lax.cummin(new - places, axis=2) + places  # the cheapest way along the reference
        return jnp.where(over[:, None, None], previous, new), None

    start = jnp.broadcast_to(places, (*references.shape[:-1], places.size))
    distances, _ = jax.lax.scan(row, start, (tokens.T, over.T))
    edits = jnp.take_along_axis(distances, lengths[..., None], axis=-1)[..., 0]  # [B, R]
    none = (lengths == 0).at[:, 0].set(False)
    edits = jnp.where(none, jnp.iinfo(jnp.int32).max, edits)
    best = edits.argmin(axis=-1)[:, None]
    return jnp.take_along_axis(edits, best, axis=-1)[:, 0], jnp.take_along_axis(
        lengths, best, axis=-1
    )[:, 0]


def regress(*, tolerance: float | None = None, criterion: str = "mean") -> Task:
    """Squared error of outputs and real targets, averaged over the outputs of an example or step.

    Outputs and targets are [B, O] or [B, T, O].

    criterion: the loss.
      "mean": that squared error.
      "half_sum": half of the squared error summed over the outputs and steps of a sequence, as in
      papers of the 1990s, whose learning rates assume it.
      "cross_entropy": that of logistic units, summed likewise, where the model's outputs are the
      logits: the derivative is  output - target,  without the squared error's
      output (1 - output).
    The metrics are those of the units in any case, and mse is the mean, of "scored" steps.
    tolerance: if set, also the mean absolute error, mae, and the share of wrong sequences, those
    where any output (of a "scored" step) is off by that or more.
    Where the batch has "legal" bool [B, T, O], a sequence is wrong if at any step a legal output is
    not above all others (Hochreiter & Schmidhuber 1997, experiment 1). Where it has "likelihood"
    [B, T, O], also the mean cosine between the outputs and these, and the root mean square of their
    distance per output (Elman 1990).
    """
    if tolerance is not None and tolerance <= 0:
        raise ValueError(f"tolerance: {tolerance} must be above 0")
    if criterion not in ("mean", "half_sum", "cross_entropy"):
        raise ValueError(
            f"criterion: unknown {criterion!r}; choose from mean, half_sum, cross_entropy"
        )

    def sums(outputs, batch):
        mask = valid(batch["mask"], batch["target"][..., 0])
        logits, target = _only_valid(mask, outputs.astype(jnp.float32), batch["target"])
        outputs = jax.nn.sigmoid(logits) if criterion == "cross_entropy" else logits
        error = jnp.square(outputs - target).mean(axis=-1)  # [B] or [B, T]
        total = jnp.where(mask, error, 0).sum()
        judged = mask & batch["scored"] if "scored" in batch else mask
        sums = dict(
            loss=total,
            count=mask.sum(),
            squared_error=jnp.where(judged, error, 0).sum(),
            items=judged.sum(),
        )
        if criterion != "mean":
            examples = mask.any(axis=-1) if mask.ndim > 1 else mask
            if criterion == "cross_entropy":
                each = optax.losses.sigmoid_binary_cross_entropy(logits, target).sum(axis=-1)
                total = jnp.where(mask, each, 0).sum()
            else:
                total *= outputs.shape[-1] / 2
            sums |= dict(loss=total, count=examples.sum())
        if "legal" in batch:
            legal = batch["legal"]
            wrong = ~(
                jnp.where(legal, outputs, jnp.inf).min(axis=-1)
                > jnp.where(legal, -jnp.inf, outputs).max(axis=-1)
            )
        elif tolerance is not None:
            off = jnp.abs(outputs - target)
            wrong = ~(off < tolerance).all(axis=-1)
            sums |= dict(absolute_error=jnp.where(judged, off.mean(axis=-1), 0).sum())
        else:
            wrong = None
        if wrong is not None:
            sequences = mask.any(axis=-1) if mask.ndim > 1 else mask
            wrong = (wrong & judged).any(axis=-1) if mask.ndim > 1 else wrong & judged
            sums |= dict(wrong=wrong.sum(), sequences=sequences.sum())
        if "likelihood" in batch:
            likely = batch["likelihood"]
            norms = jnp.linalg.norm(outputs, axis=-1) * jnp.linalg.norm(likely, axis=-1)
            cosine = (outputs * likely).sum(axis=-1) / jnp.maximum(norms, 1e-12)
            distance = jnp.square(outputs - likely).mean(axis=-1)
            sums |= dict(
                cosine=jnp.where(judged, cosine, 0).sum(),
                distance=jnp.where(judged, distance, 0).sum(),
            )
        return sums

    return Task(("real", "reals"), "mse", sums)


TASKS = dict(
    classify=classify,
    classify_rbf=classify_rbf,
    language_model=language_model,
    regress=regress,
    transduce=transduce,
)
