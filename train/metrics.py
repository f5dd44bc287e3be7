"""Sums: totals over valid items that merge by addition; `finish` divides once."""

import jax
import numpy as np

Sums = dict[str, jax.Array]  # "loss": float32 [], "count": int32 [], ...: totals, never means
KNOWN = {  # the sums that `finish` makes its metrics of
    *(
        "loss",
        "count",
        "correct",
        "answers",
        "among5",
        "squared_error",
        "absolute_error",
        "items",
        "nats",
        "tokens",
        "edits",
    ),
    *(
        "reference",
        "wrong",
        "sequences",
        "cosine",
        "distance",
        "lr",
        "grad_norm",
        "steps",
        "skipped",
    ),
}


def merge(a: Sums, b: Sums) -> Sums:
    return jax.tree.map(lambda x, y: x + y, a, b)


def finish(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means over the counted items, with any leading shape (seeds).

    loss: mean loss. error: wrong answers in percent. top5_error: see tasks.classify.
    mse: mean squared error in the target's units squared. mae: mean absolute error.
    perplexity of a token, and bits a token. token_error: edits in percent of the reference's
    tokens. sequence_error: wrong sequences in percent. cosine, rms: of outputs and likelihoods.
    lr, grad_norm: means over the training steps. skipped: how many of these changed nothing, if
    any. A sum of another name: its mean over the count. NaN where nothing was counted.
    """
    sums = {name: np.asarray(value, np.float64) for name, value in sums.items()}

    def per(name: str, count: str):
        return np.where(sums[count] > 0, sums[name] / np.maximum(sums[count], 1), np.nan)

    metrics = {"loss": per("loss", "count")}
    if "correct" in sums:
        metrics["error"] = 100 * (1 - per("correct", "answers" if "answers" in sums else "count"))
    if "among5" in sums:
        metrics["top5_error"] = 100 * (1 - per("among5", "count"))
    if "squared_error" in sums:
        metrics["mse"] = per("squared_error", "items")
    if "absolute_error" in sums:
        metrics["mae"] = per("absolute_error", "items")
    if "nats" in sums:
        metrics["perplexity"] = np.exp(np.minimum(per("nats", "tokens"), 700))
        metrics["bits"] = per("nats", "tokens") / np.log(2)
    if "edits" in sums:
        metrics["token_error"] = 100 * per("edits", "reference")
    if "wrong" in sums:
        metrics["sequence_error"] = 100 * per("wrong", "sequences")
    if "cosine" in sums:
        metrics["cosine"], metrics["rms"] = (
            per("cosine", "items"),
            np.sqrt(per("distance", "items")),
        )
    metrics |= {name: per(name, "count") for name in sorted(sums.keys() - KNOWN)}
    for name in ("lr", "grad_norm"):
        if name in sums:
            metrics[name] = per(name, "steps")
    if "skipped" in sums and sums["skipped"].any():
        metrics["skipped"] = sums["skipped"]
    return metrics
