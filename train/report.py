"""A finished run -> result.json and curves.png."""

import datetime
import importlib.metadata
import io
import json
import math
import os
import platform

import numpy as np
from etils import epath

from train import documents, escapes, history, log, records
from train.digests import opened, sealed
from train.errors import BadInput

RESULT, CURVES = "result.json", "curves.png"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def result(experiment, name: str, command: str, outcome: dict) -> dict:
    """The contents of result.json. `command` reproduces the run.

    Metrics are those of the last step; std is the sample deviation over seeds, None for one seed.
    stopped: the step at which each seed was done, None for a seed that never was. history: what
    trained the run, as in history.extended.
    """

    def statistics(values):
        values = [float(v) for v in values]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return dict(per_seed=values, mean=float(np.mean(values)), std=std, n=len(values))

    devices, evals = experiment.layout.devices, list(experiment.dataset.evals)
    return log.nan_to_none(
        dict(
            config=name,
            command=command,
            metric=f"{'test' if 'test' in evals else evals[-1]}/{experiment.task.metric}",
            metrics={metric: statistics(values) for metric, values in outcome["metrics"].items()},
            seeds=list(experiment.seeds),
            steps=outcome["steps"],
            stopped=outcome["stopped"],
            seconds=round(outcome["seconds"], 1),
            parameters=experiment.parameters,
            device=dict(
                kind=devices[0].device_kind,
                platform=devices[0].platform,
                count=len(devices),
                cores=os.cpu_count() if devices[0].platform == "cpu" else None,
            ),
            data=dict(experiment.dataset.metadata) | {"examples": experiment.dataset.examples},
            versions={"python": platform.python_version()}
            | {p: importlib.metadata.version(p) for p in PACKAGES},
            git=history.git_sha(),
            history=outcome["history"],
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
    )


def origin(document: dict) -> dict[str, str]:
    """Where a result came from, as columns of a results.csv.

    data, device, jax, git, data_digest, finished.
    """
    data, device = document["data"], document["device"]
    examples = ", ".join(f"{count:,} {split}" for split, count in data["examples"].items())
    return dict(
        data=f"{data.get('source', 'own')}: {examples}",
        device=f"{device['kind']} x {device['count']}"
        + (f", {device['cores']} cores" if device["cores"] else ""),
        jax=document["versions"]["jax"],
        git=document["git"] or "",
        data_digest=data.get("digest", "")[:12],
        finished=document["finished"],
    )


def write(workdir: epath.Path, document: dict) -> None:
    """Writes the curves, then result.json, whose presence means that the run is done."""
    made_of = log.read(workdir)
    log.write_whole(workdir / CURVES, curves(made_of))
    document = sealed(document | {"records": records.digest(made_of)})
    log.write_whole(workdir / RESULT, json.dumps(document, indent=2) + "\n")


def read(workdir: epath.Path) -> dict:
    """The contents of result.json of a run that is done.

    Raises BadInput, with the file's name, where it is not a result.
    """
    file = workdir / RESULT
    try:
        document = opened(documents.read(file))
        show(workdir, document), origin(document)  # reads every value that is used later
        _check(document)
        return document
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise BadInput(
            f"--workdir: {file} is damaged ({why}); delete it: training goes on from its last "
            "checkpoint"
        ) from None


def _check(document: dict) -> None:
    """Raises ValueError, KeyError or TypeError where a value is not of its kind."""
    seeds, stopped = document["seeds"], document.get("stopped", document["seeds"])
    whole = [
        document["steps"],
        document["parameters"],
        *seeds,
        *(s for s in stopped if s is not None),
    ]
    if not seeds or len(stopped) != len(seeds) or not all(type(n) is int and n >= 0 for n in whole):
        raise ValueError("seeds, stopped, steps or parameters are not whole numbers")
    texts = [document["command"], document["metric"], document["versions"]["python"]]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("command, metric or the version of Python is no text")
    document["metrics"][document["metric"]]
    datetime.datetime.fromisoformat(document["finished"])


def records_of(workdir: epath.Path, document: dict) -> list[dict]:
    """The records of a run that is done and whose result is `document`.

    Raises BadInput where they are not the records that the result was made from.
    """
    lines, whole = log.read(workdir), document.get("records")
    if whole and records.digest(lines) != whole:
        raise BadInput(
            f"--workdir: {workdir / log.FILE} is not what {RESULT} was made of "
            f"({records.counts(lines, whole)}); put it back as it was, or train the run again in "
            "another folder"
        )
    return lines


def show(workdir: epath.Path, document: dict) -> str:
    """The result in a few lines."""
    n, seeds = len(document["seeds"]), "seeds" if len(document["seeds"]) > 1 else "seed"
    lines = [f"{escapes.plain(metric):<18} {_show(s)}" for metric, s in document["metrics"].items()]
    lines.append(
        f"{'trained':<18} {document['steps']:,} steps, {n} {seeds}, {document['seconds']:,.0f} s"
    )
    lines += [f"{'changed':<18} {line}" for line in history.changes(document.get("history", []))]
    lines += [
        f"{what:<18} {workdir / file}" for what, file in (("result", RESULT), ("curves", CURVES))
    ]
    return "\n".join([*lines, f"{'checkpoints':<18} {workdir / 'checkpoints'}"])


def _show(s: dict) -> str:
    values = [np.nan if v is None else v for v in s["per_seed"]]
    return f"{log.summary(values)}  (" + ", ".join(f"{v:.4g}" for v in values) + ")"


def _says_loss(records: list[dict], name: str, of_loss) -> bool:
    """Whether the metric `name` is of_loss(loss) in every record: one figure then shows both."""
    rows = [r for r in records if name in r and "loss" in r]
    pairs = [
        (x, y)
        for r in rows
        for x, y in zip(r["loss"], r[name], strict=True)
        if None not in (x, y) and x < 700
    ]
    return bool(rows) and all(math.isclose(of_loss(x), y, rel_tol=1e-3) for x, y in pairs)


def curves(records: list[dict]) -> bytes:
    """A PNG of each metric against the step.

    A line shows the mean over the seeds, a band the range from the lowest to the highest seed.
    """
    import matplotlib.figure  # importing it takes half a second, which training does not pay

    titles = dict(
        loss="loss (nats)", error="error (%)", mse="mean squared error", perplexity="perplexity"
    )
    titles |= dict(token_error="token error (%)")
    metrics = [m for m in titles if any(m in r for r in records)]
    if any(
        _says_loss(records, name, of) for name, of in (("mse", float), ("perplexity", math.exp))
    ):
        metrics.remove("loss")
    seeds = len(records[0][metrics[0]])
    title = f"mean of {seeds} seeds; band: lowest to highest" if seeds > 1 else None
    figure = matplotlib.figure.Figure(figsize=(5 * len(metrics), 3.6), layout="constrained")
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(metrics))), metrics, strict=True):
        for split in dict.fromkeys(r["split"] for r in records):
            rows = [r for r in records if r["split"] == split and metric in r]
            if not rows:
                continue
            # a run that continues another may judge ensembles where the first judged seeds
            most = max(len(r[metric]) for r in rows)
            values = [r[metric] + [None] * (most - len(r[metric])) for r in rows]
            values = np.ma.masked_invalid(np.array(values, np.float64))  # [points, S]
            steps = [r["step"] for r in rows]
            (line,) = axes.plot(
                steps,
                values.mean(1),
                label=escapes.figure(split),
                marker="o" if len(rows) == 1 else None,
            )
            axes.fill_between(
                steps, values.min(1), values.max(1), alpha=0.25, color=line.get_color(), linewidth=0
            )
        axes.set(
            xlabel="step",
            title=titles[metric],
            yscale="log" if metric in ("mse", "perplexity") else "linear",
        )
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, title=title, title_fontsize="small")
    return png(figure, dpi=120)


def png(figure, dpi: int) -> bytes:
    """A figure of matplotlib as a PNG, with the same bytes each time."""
    contents = io.BytesIO()
    figure.savefig(contents, format="png", dpi=dpi, metadata={"Software": None})
    return contents.getvalue()
