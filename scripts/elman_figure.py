"""Figures 3, 4, 6 and 7 of Elman 1990, from the first seed of a finished run.

Used by scripts.table_figure.
"""

import pathlib

import matplotlib.figure
import numpy as np
import scipy.cluster.hierarchy
import scipy.special
from etils import epath

from train import escapes, log, report, trained
from train.data.elman1990 import BITS, LETTERS

SHOWN = 80  # letters
CYCLE = 12  # bits


def pass_over(run: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The network of a run along its test stream.

    (symbols [n], their codes [n, O], hidden states [n, H], outputs [n, O]).
    """
    found = trained.load(epath.Path(run), print)
    source = trained.dataset(found).evals["test"]
    symbols = source.arrays["symbol"].astype(np.int32)
    # as windows of one symbol
    codes = np.asarray(source.make({"symbol": symbols}, np.arange(len(symbols)), None)["input"])[
        :, 0
    ]
    params = found.variables[0]["params"]
    cell, head = params["layers"]["layer_1"]["cell"], params["head"]
    inputs, context, states = (
        codes @ cell["input"] + cell["bias"],
        np.full(cell["bias"].shape, 0.5),
        [],
    )
    for x in inputs:
        context = scipy.special.expit(x + context @ cell["recurrent"])
        states.append(context)
    states = np.array(states)
    return symbols, codes, states, scipy.special.expit(states @ head["kernel"] + head["bias"])


def _squared_errors(codes: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """[n - 1]: for the symbols from the second on, the mean over the outputs."""
    return np.square(outputs[:-1] - codes[1:]).mean(axis=1)


def _along_the_text(axes, errors: np.ndarray, letters: str) -> None:
    axes.plot(errors, marker="o", markersize=3, linewidth=1)
    for place, (letter, value) in enumerate(zip(letters, errors, strict=True)):
        axes.annotate(
            letter, (place, value), xytext=(0, 4), textcoords="offset points", ha="center"
        )
    axes.set(
        xlabel="letter of the test stream",
        ylabel="root mean square error",
        ylim=(0, 1.15 * errors.max()),
    )
    axes.grid(alpha=0.3)


def streams(file: pathlib.Path, runs: dict[str, pathlib.Path]) -> None:
    """Figures 3 and 4: the error along the stream.

    The error of temporal XOR by place in cycles of 12 bits, where every third bit can be predicted;
    and the error of each letter of ba, dii, guuu, where the vowels can be predicted.
    """
    figure = matplotlib.figure.Figure(figsize=(13, 3.4), layout="constrained")
    bits, text = figure.subplots(1, 2, width_ratios=(1, 2))
    for name, run in runs.items():
        symbols, codes, _, outputs = pass_over(run)
        errors = _squared_errors(codes, outputs)
        if codes.shape[1] > 1:
            # without the first letters, which follow a context of 0.5
            shown = slice(CYCLE, CYCLE + SHOWN // 2)
            _along_the_text(
                text,
                np.sqrt(errors[shown]),
                "".join(list(LETTERS)[symbol] for symbol in symbols[1:][shown]),
            )
            continue
        whole = errors[CYCLE - 1 :]  # from the first bit of the second cycle on
        cycles = whole[: len(whole) // CYCLE * CYCLE].reshape(-1, CYCLE)
        bits.plot(
            range(1, CYCLE + 1),
            np.sqrt(cycles.mean(axis=0)),
            marker="o",
            markersize=3,
            linewidth=1,
            label=escapes.figure(name),
        )
    bits.set(
        xlabel="bit of a cycle of 12",
        ylabel="root mean square error",
        ylim=(0, 0.6),
        xticks=range(3, CYCLE + 1, 3),
    )
    bits.grid(alpha=0.3)
    bits.legend(frameon=False)
    log.write_whole(file, report.png(figure, dpi=110))


def segmentation(file: pathlib.Path, run: pathlib.Path) -> None:
    """Figure 6: the error of each letter along the text; words begin at its peaks.

    The error is the root mean square over the outputs.
    """
    symbols, codes, _, outputs = pass_over(run)
    figure = matplotlib.figure.Figure(figsize=(13, 3.2), layout="constrained")
    letters = "".join(chr(ord("a") + symbol) for symbol in symbols[1 : SHOWN + 1])
    _along_the_text(figure.subplots(), np.sqrt(_squared_errors(codes, outputs))[:SHOWN], letters)
    log.write_whole(file, report.png(figure, dpi=110))


def dendrogram(file: pathlib.Path, run: pathlib.Path) -> None:
    """Figure 7: the mean hidden states of the words, clustered by distance (average linkage)."""
    symbols, _, states, _ = pass_over(run)
    words = [word for word in BITS if (symbols == BITS[word]).any()]
    means = np.array([states[symbols == BITS[word]].mean(axis=0) for word in words])
    tree = scipy.cluster.hierarchy.linkage(means, "average")
    figure = matplotlib.figure.Figure(figsize=(6.5, 6.5), layout="constrained")
    axes = figure.subplots()
    scipy.cluster.hierarchy.dendrogram(
        tree,
        labels=words,
        orientation="left",
        ax=axes,
        color_threshold=0,
        above_threshold_color="C0",
    )
    axes.set(xlabel="distance between mean hidden states")
    axes.tick_params(labelsize=9)
    log.write_whole(file, report.png(figure, dpi=110))
