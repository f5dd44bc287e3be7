"""The figure of a paper's table that was run at a scale.

Used by scripts.report.
"""

import itertools
import pathlib
import re

import matplotlib.figure
import numpy as np
from etils import epath
from matplotlib import ticker

from configs import statistics
from configs.table import AtLeast, Steps, Table
from scripts import elman_figure
from train import escapes, log, report
from train.errors import BadInput


def _records(run: pathlib.Path) -> list[dict]:
    """The records of a run that is done."""
    return report.records_of(epath.Path(run), report.read(epath.Path(run)))


def length(file: pathlib.Path, runs: dict[str, pathlib.Path]) -> None:
    """Bahdanau et al. 2014, figure 2: the error against the length of the source.

    It shows each row's error in the splits "test_A_to_B". Lines are means over seeds; bands reach
    from the lowest to the highest seed.
    """
    figure = matplotlib.figure.Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    for name, run in runs.items():
        last = {r["split"]: r["token_error"] for r in _records(run) if "token_error" in r}
        parts = {
            tuple(map(int, re.findall(r"\d+", split))): of
            for split, of in last.items()
            if split.startswith("test_")
        }
        ends = sorted(parts)
        values = np.array([parts[end] for end in ends], np.float64)  # [parts, S]
        places = range(len(ends))
        (line,) = axes.plot(places, values.mean(1), marker="o", label=escapes.figure(name))
        axes.fill_between(
            places, values.min(1), values.max(1), alpha=0.2, color=line.get_color(), linewidth=0
        )
    axes.set_xticks(places, [f"{low} to {high}" for low, high in ends])
    axes.set(xlabel="letters in the word", ylabel="phone error (%)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    log.write_whole(file, report.png(figure, dpi=110))


FIGURES = dict(  # name -> a function of (file, {row: run}) that draws the rows that were run
    dendrogram=lambda file, runs: elman_figure.dendrogram(file, next(iter(runs.values()))),
    length=length,
    segmentation=lambda file, runs: elman_figure.segmentation(file, next(iter(runs.values()))),
    streams=elman_figure.streams,
)


def check(path: pathlib.Path, table: Table) -> None:
    """Raises BadInput for a figure that is not one of FIGURES."""
    for kind in table.figures:
        if kind not in FIGURES:
            raise BadInput(f"{path}: figures: unknown {kind!r}; choose from {', '.join(FIGURES)}")


def draw(
    file: pathlib.Path, table: Table, scale: str, ours: dict, runs: dict[str, pathlib.Path]
) -> None:
    """Writes a PNG of a table's curves and values.

    ours: row -> {seed: value}. runs: row -> the workdir of its run, where that is available.

    The left part has the curves of every row, each seed and the median; the right part has the
    rows' values with their intervals. A seed that is done keeps its last value; one that never
    reached the level is an arrow head.
    """
    names = [row.name for row in table.rows if row.name in ours]
    curve = table.curve or (
        table.measure if isinstance(table.measure, str) else table.measure.metric
    )
    split, _, metric = curve.partition("/")
    figure = matplotlib.figure.Figure(
        figsize=(11, max(3.4, 0.32 * len(names) + 1.2)), layout="constrained"
    )
    left, right = figure.subplots(1, 2)
    # of the curves; `usual` is the highest value that medians nearly always stay below
    lowest, usual = np.inf, 0.0
    for k, name in enumerate(names):
        log_of_it = _records(runs[name]) if name in runs else []
        of = split if split in {r["split"] for r in log_of_it} else "validation"  # ImageNet's
        records = [r for r in log_of_it if r["split"] == of and metric in r]
        # where ensembles were judged at the end instead of seeds
        fewest = min((len(r[metric]) for r in records), default=0)
        points = _held(np.array([r[metric][:fewest] for r in records], np.float64))
        steps, color, style = (
            [r["step"] for r in records],
            f"C{k % 10}",
            ("-", "--", ":")[min(k // 10, 2)],
        )
        if len(points):
            left.plot(steps, points, color=color, linewidth=0.6, alpha=0.3)
            middle = np.ma.median(points, axis=1)
            left.plot(steps, middle, color=color, ls=style, marker="o" if len(steps) == 1 else None)
            if middle.count():
                lowest, usual = (
                    min(lowest, points.min()),
                    max(usual, np.percentile(middle.compressed(), 98)),
                )
        interval = statistics.mean(list(ours[name].values()))
        if np.isfinite(interval.low):
            right.plot([interval.low, interval.high], [k, k], color=color, linewidth=2)
        for value in ours[name].values():
            never = isinstance(value, AtLeast)
            right.plot(
                value,
                k,
                ">" if never else "|",
                color=color,
                markersize=6 if never else 9,
                alpha=0.6,
            )
        right.plot(interval.mean, k, "o", color=color)
    drawn = len(runs.keys() & set(names))
    # the other rows ran elsewhere
    of_rows = f"; {drawn} of {len(names)} rows" if drawn < len(names) else ""
    spikes = left.get_ylim()[1] > 10 * usual > 0
    if spikes:
        margin = 0.1 * (usual - lowest)
        left.set_ylim(lowest - margin, usual + margin)
    left.set(
        xlabel="step",
        title=f"{escapes.figure(curve)}: median, seeds{of_rows}{'; spikes cut' if spikes else ''}",
    )
    right.set_yticks(range(len(names)), map(escapes.figure, names))
    for k, label in enumerate(right.get_yticklabels()):  # they are the legend of both parts
        label.set_color(f"C{k % 10}")
    right.invert_yaxis()
    right.set(title="mean, 95% interval, seeds", xlabel=escapes.figure(table.measure))
    for axes in (left, right):
        if isinstance(table.measure, Steps):
            _logarithmic(axes)
        else:
            axes.locator_params(axis="x", nbins=6)
    left.grid(alpha=0.3)
    right.grid(alpha=0.3, axis="x")
    figure.suptitle(escapes.figure(f"{table.title} ({scale})", most=150), fontsize="medium")
    log.write_whole(file, report.png(figure, dpi=110))


def _held(points: np.ndarray) -> np.ma.MaskedArray:
    """points [records, S]; a seed without further values keeps its last one."""
    for before, now in itertools.pairwise(points):
        np.copyto(now, before, where=np.isnan(now))
    return np.ma.masked_invalid(points)


def _logarithmic(axes) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
