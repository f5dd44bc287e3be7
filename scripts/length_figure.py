"""Draws token error against the length of the source, from files of `scripts.transduce --errors`.

python -m scripts.length_figure OUT.png LABEL=FILE.csv [LABEL=FILE.csv ...]
"""

import csv

import numpy as np

from train import escapes, paths
from train.errors import BadInput, Parser, exit_with, writing_in
from train.log import write_whole
from train.report import png

LEAST = 50  # sources per point: longer lengths are pooled until there are this many
COLUMNS = ("length", "sources", "edits", "tokens")


def points(path: str) -> tuple[list[float], list[float], list[float]]:
    """(mean length, token error in percent, its standard error over sources).

    The standard error assumes that tokens are independent.
    """
    path = paths.file_of(path, "FILE.csv")
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{key: int(row[key]) for key in COLUMNS} for row in csv.DictReader(file)]
        if not rows or any(
            row["sources"] < 1 or row["tokens"] < 1 or row["edits"] < 0 for row in rows
        ):
            raise ValueError("it has no rows, or counts below 1")
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise BadInput(f"{path} is no table of errors by length ({error})") from None
    pools, pool = [], []
    for row in rows:
        pool.append(row)
        if sum(r["sources"] for r in pool) >= LEAST:
            pools.append(pool)
            pool = []
    if pool:
        pools[-1:] = [[*(pools[-1] if pools else ()), *pool]]
    found = []
    for pool in pools:
        sources, edits, tokens = (
            sum(r[key] for r in pool) for key in ("sources", "edits", "tokens")
        )
        rate = edits / tokens
        mean = sum(r["length"] * r["sources"] for r in pool) / sources
        found.append((mean, 100 * rate, 100 * np.sqrt(rate * max(1 - rate, 0) / tokens)))
    return tuple(map(list, zip(*found, strict=True)))


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.length_figure", __doc__)
    parser.add_argument("out", metavar="OUT.png")
    parser.add_argument("tables", nargs="+", metavar="LABEL=FILE.csv")
    flags = parser.parse_args(arguments)
    out = paths.file_of(flags.out, "OUT.png")
    if out.suffix != ".png" or not out.parent.is_dir() or out.is_dir():
        raise BadInput(f"{out}: must be a .png in a folder that is there")
    tables = [table.partition("=") for table in flags.tables]
    for label, equals, _ in tables:
        if not equals:
            raise BadInput(f"{label}: must be LABEL=FILE.csv")
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for label, _, path in tables:
        lengths, errors, spread = points(path)
        axes.errorbar(
            lengths,
            errors,
            yerr=spread,
            label=escapes.figure(label),
            marker="o",
            markersize=4,
            capsize=2,
        )
    axes.set(xlabel="letters in the word", ylabel="phone error rate (%)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with writing_in(out, after=""):
        write_whole(out, png(figure, dpi=130))
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.length_figure")
