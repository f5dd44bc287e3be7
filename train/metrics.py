"""Sums: totals over valid items that merge by addition; `finish` divides once."""

import jax
import numpy as np

Sums = dict[str, jax.Array]  # "loss": float32 [], "count": int32 [], ...: totals, never means


def merge(a: Sums, b: Sums) -> Sums:
    return jax.tree.map(lambda x, y: x + y, a, b)


def finish(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means over the counted items, for whatever leading shape (seeds).

    loss: mean loss; error: wrong answers in percent; mse: mean squared error in the target's units squared.
    lr, grad_norm: means over the training steps.
    """
    count = np.maximum(np.asarray(sums["count"], np.float64), 1)
    metrics = {"loss": np.asarray(sums["loss"], np.float64) / count}
    if "correct" in sums:
        metrics["error"] = 100 * (1 - np.asarray(sums["correct"], np.float64) / count)
    if "squared_error" in sums:
        metrics["mse"] = np.asarray(sums["squared_error"], np.float64) / count
    for name in ("lr", "grad_norm"):
        if name in sums:
            metrics[name] = np.asarray(sums[name], np.float64) / np.maximum(sums["steps"], 1)
    return metrics
