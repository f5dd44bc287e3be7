"""Draws token error against the length of the source, from what `scripts.transduce --errors` wrote.

python -m scripts.length_figure OUT.png LABEL=FILE.csv [LABEL=FILE.csv ...]
"""

import csv
import pathlib

import numpy as np

from train.errors import BadInput, exit_with

LEAST = 50  # sources to a point: longer lengths are pooled until there are so many


def points(path: str) -> tuple[list[float], list[float], list[float]]:
    """(mean length, token error in percent, its standard error over sources as if each token were independent)."""
    try:
        with open(path) as file:
            rows = [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} is no table of errors by length ({error})") from None
    pools, pool = [], []
    for row in rows:
        pool.append(row)
        if sum(r["sources"] for r in pool) >= LEAST:
            pools.append(pool)
            pool = []
    if pool and pools:
        pools[-1] = pools[-1] + pool
    found = []
    for pool in pools:
        sources, edits, tokens = (sum(r[key] for r in pool) for key in ("sources", "edits", "tokens"))
        rate = edits / tokens
        mean = sum(r["length"] * r["sources"] for r in pool) / sources
        found.append((mean, 100 * rate, 100 * np.sqrt(rate * max(1 - rate, 0) / tokens)))
    return tuple(map(list, zip(*found, strict=True)))


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or not all("=" in argument for argument in arguments[1:]):
        raise BadInput("usage: python -m scripts.length_figure OUT.png LABEL=FILE.csv [LABEL=FILE.csv ...]")
    if not pathlib.Path(arguments[0]).parent.is_dir():
        raise BadInput(f"there is no folder {pathlib.Path(arguments[0]).parent}")
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for argument in arguments[1:]:
        label, _, path = argument.partition("=")
        lengths, errors, spread = points(path)
        axes.errorbar(lengths, errors, yerr=spread, label=label, marker="o", markersize=4, capsize=2)
    axes.set(xlabel="letters in the word", ylabel="phone error rate (%)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(arguments[0], dpi=130)
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.length_figure")
