"""Figures 6 and 7 of Elman 1990, of the first seed of a finished run. Used by scripts.table_figure."""

import pathlib

import matplotlib.figure
import numpy as np
import scipy.cluster.hierarchy
import scipy.special
from etils import epath

from train import trained
from train.data import DATASETS
from train.data.elman1990 import BITS

SHOWN = 80  # letters


def pass_over(run: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(symbols [n], hidden states [n, H], outputs [n, O]) of the network of a run along its test stream."""
    found = trained.load(epath.Path(run).absolute(), print)
    options = {key: value for key, value in found.data.items() if key not in ("name", "batch_size")}
    source = DATASETS[found.data["name"]](**options).evals["test"]
    symbols = source.arrays["symbol"].astype(np.int32)
    codes = np.asarray(source.make({"symbol": symbols}, np.arange(len(symbols)), None)["input"])[:, 0]  # of windows of one
    params = found.variables[0]["params"]
    cell, head = params["layers"]["layer_1"]["cell"], params["head"]
    inputs, context, states = codes @ cell["input"] + cell["bias"], np.full(cell["bias"].shape, 0.5), []
    for x in inputs:
        context = scipy.special.expit(x + context @ cell["recurrent"])
        states.append(context)
    states = np.array(states)
    return symbols, states, scipy.special.expit(states @ head["kernel"] + head["bias"])


def segmentation(file: pathlib.Path, run: pathlib.Path) -> None:
    """Figure 6: the error of each letter, root mean square over the outputs, along the text; words begin at its peaks."""
    symbols, _, outputs = pass_over(run)
    codes = symbols[:, None] + 1 >> np.arange(outputs.shape[1])[::-1] & 1
    error = np.sqrt(np.square(outputs[:-1] - codes[1:]).mean(axis=1))[:SHOWN]  # of the letters from the second on
    figure = matplotlib.figure.Figure(figsize=(13, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(error, marker="o", markersize=3, linewidth=1)
    for place, (symbol, value) in enumerate(zip(symbols[1:], error, strict=False)):
        axes.annotate(chr(ord("a") + symbol), (place, value), xytext=(0, 4), textcoords="offset points", ha="center")
    axes.set(xlabel="letter of the test stream", ylabel="root mean square error", ylim=(0, 1.15 * error.max()))
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def dendrogram(file: pathlib.Path, run: pathlib.Path) -> None:
    """Figure 7: the mean hidden state of each word, clustered by the distance between means (average linkage)."""
    symbols, states, _ = pass_over(run)
    words = [word for word in BITS if (symbols == BITS[word]).any()]
    means = np.array([states[symbols == BITS[word]].mean(axis=0) for word in words])
    tree = scipy.cluster.hierarchy.linkage(means, "average")
    figure = matplotlib.figure.Figure(figsize=(6.5, 6.5), layout="constrained")
    axes = figure.subplots()
    scipy.cluster.hierarchy.dendrogram(
        tree, labels=words, orientation="left", ax=axes, color_threshold=0, above_threshold_color="C0"
    )
    axes.set(xlabel="distance between mean hidden states")
    axes.tick_params(labelsize=9)
    figure.savefig(file, dpi=110, metadata={"Software": None})
