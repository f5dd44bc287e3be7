"""The runs of a paper's table as lines of results.csv beside it, one per seed and measure."""

import csv
import io
import math
import pathlib

from etils import epath

from configs import base, statistics
from configs.table import AtBest, AtLeast, Measure, Steps, Stopped, Table, Until, folder_of
from train import log, paths, report, resumption
from train.errors import BadInput

COLUMNS = (
    *("table", "scale", "row", "seed", "measure", "value", "steps", "parameters", "run_seconds"),
    *("command", "data", "device", "jax", "git", "data_digest", "finished"),
)


def workdir_of(path: pathlib.Path, scale: str, parent: str | None) -> epath.Path:
    """The folder of a table's runs: runs/PAPER/TABLE/SCALE.

    `parent`, if given, replaces runs/PAPER/TABLE.
    """
    return (
        paths.run_of(f"runs/{path.parent.name}/{path.stem}" if parent is None else parent) / scale
    )


def values(measure: Measure, run: pathlib.Path, result: dict) -> dict[int, float]:
    """{seed: value} of a finished run; an ensemble has the number of its first seed.

    Raises BadInput for a metric that the log lacks, or lacks where the best step is looked for.
    """
    seeds = result["seeds"]
    stopped = result.get("stopped", [None] * len(seeds))
    trained = [result["steps"] if step is None else step for step in stopped]
    if isinstance(measure, Stopped):
        return _in_examples(measure, seeds, stopped, trained)
    records = report.records_of(epath.Path(run), result)
    found = _curve(run, records, measure if isinstance(measure, str) else measure.metric)
    judged = len(found[max(found)])  # seeds, or ensembles where the last evaluation judges these
    found = {step: of for step, of in sorted(found.items()) if len(of) == judged}
    seeds = seeds[:judged]
    if isinstance(measure, AtBest):
        by = _curve(run, records, measure.by)
        common = sorted(found.keys() & by.keys())
        if not common or by == found:
            raise BadInput(
                f"{run}: {measure.metric} has no evaluations of its own beside those of "
                f"{measure.by}"
            )
        at = [min(common, key=lambda step, i=i: _or_inf(by[step][i])) for i in range(judged)]
        return {seed: found[step][i] for i, (seed, step) in enumerate(zip(seeds, at, strict=True))}
    if isinstance(measure, Until):
        first = [
            min((step for step in found if found[step][i] <= measure.level), default=None)
            for i in range(judged)
        ]
        return _in_examples(measure, seeds, first, trained)
    # such a seed has no further values
    done = [measure.startswith("train/") and step is not None for step in stopped[:judged]]
    last = (
        (of[i] for of in reversed(found.values()) if of[i] == of[i] or not done[i])
        for i in range(judged)
    )
    return {seed: next(values, math.nan) for seed, values in zip(seeds, last, strict=True)}


def _in_examples(
    measure: Steps, seeds: list[int], steps: list[int | None], trained: list[int]
) -> dict[int, float]:
    """{seed: value}; a seed whose step is None gets AtLeast of everything it was trained."""
    of_seeds = zip(seeds, steps, trained, strict=False)
    return {
        s: measure.examples * float(step) if step is not None else AtLeast(measure.examples * n)
        for s, step, n in of_seeds
    }


def _curve(run: pathlib.Path, records: list[dict], name: str) -> dict[int, list[float]]:
    """{step: [value of each seed]} of a metric such as "test/error".

    A value of training covers the steps since the record before. "test" is the split that a run is
    judged on, also where the data set calls it "validation", as ImageNet does.
    """
    split, _, metric = name.partition("/")
    if split == "test" and split not in {r["split"] for r in records}:
        split = "validation"
    curve = {r["step"]: r[metric] for r in records if r["split"] == split and metric in r}
    if not curve:
        have = sorted(
            {f"{r['split']}/{key}" for r in records for key in r.keys() - {"step", "split"}}
        )
        raise BadInput(f"{run}: no metric {name!r} in its log; choose from {', '.join(have)}")
    return {step: [math.nan if v is None else v for v in row] for step, row in curve.items()}


def _or_inf(x: float) -> float:
    return math.inf if math.isnan(x) else x


def collect(path: pathlib.Path, table: Table, scale: str, runs: pathlib.Path) -> list[dict]:
    """The lines of results.csv of the rows whose runs are done.

    Raises BadInput where a row has changed since it was run.
    """
    lines, where = [], {name: runs / folder_of(name) for name in table.names(scale)}
    results = {
        name: report.read(run) for name, run in where.items() if (run / report.RESULT).exists()
    }
    for row in map(table.row, results):
        run, result = where[row.name], results[row.name]
        same_row(
            table,
            run,
            base.override(table.config(row.name, scale), {"seeds": tuple(result["seeds"])}),
        )
        # the time of the run that this one continued
        before = results[row.of]["seconds"] if row.of in results else 0
        for measure in table.measures:
            for seed, value in values(measure, run, result).items():
                lines.append(
                    dict(
                        table=path.stem,
                        scale=scale,
                        row=row.name,
                        seed=str(seed),
                        measure=str(measure),
                        value=_written(measure, value),
                        steps=str(result["steps"]),
                        parameters=str(result["parameters"]),
                        run_seconds=str(round(result["seconds"] - before, 1)),
                        command=result["command"],
                        **report.origin(result),
                    )
                )
    return lines


def same_row(table: Table, run: pathlib.Path, config) -> None:
    """Raises BadInput where a run has another config than the row, or was judged differently."""
    when = (
        ["eval.every", "log.every"]
        if any(isinstance(m, AtBest | Until) for m in table.measures)
        else []
    )
    resumption.same_config(run, config, but=("eval.ensemble", "eval.batch_size", *when))


def _written(measure: Measure, value: float) -> str:
    """A value in results.csv; ">" and the bound for a seed that never reached the level."""
    return (
        f"{'>' * isinstance(value, AtLeast)}{value:.0f}"
        if isinstance(measure, Steps)
        else f"{value:.6g}"
    )


def cell(values: dict[int, float]) -> str:
    """A row's mean, interval, number of seeds, and how many of these never reached the level."""
    interval, n = statistics.mean(list(values.values())), statistics.number
    never = sum(isinstance(value, AtLeast) for value in values.values())
    spread = f" [{n(interval.low)}, {n(interval.high)}]" if interval.count > 1 else ""
    return f"{n(interval.mean)}{spread} (N={interval.count}{f', {never} never' if never else ''})"


def read(folder: pathlib.Path) -> list[dict]:
    """The lines of results.csv. Raises BadInput where the file is not one."""
    file = folder / "results.csv"
    if not file.exists():
        return []
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError:
        raise BadInput(f"{file}: is not UTF-8; mend it, or delete it and report again") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or COLUMNS) != COLUMNS:
        raise BadInput(
            f"{file}: is not of tables, its columns are {', '.join(reader.fieldnames)}; move "
            "TABLE.py elsewhere"
        )
    lines = list(reader)
    try:
        if any(None in line or None in line.values() for line in lines):
            raise ValueError("a line is cut short or too long")
        for line in lines:
            int(line["seed"]), int(line["parameters"]), float(line["run_seconds"])
            float(line["value"].removeprefix(">"))
    except ValueError as error:
        raise BadInput(
            f"{file}: is damaged ({error}); mend it, or delete the file and report again"
        ) from None
    return lines


def seconds_a_seed(path: pathlib.Path, scale: str) -> dict[str, float]:
    """Row -> the training time per seed in results.csv."""
    lines = [
        line for line in read(path.parent) if (line["table"], line["scale"]) == (path.stem, scale)
    ]
    seeds = {
        row: len({line["seed"] for line in lines if line["row"] == row})
        for row in {line["row"] for line in lines}
    }
    return {line["row"]: float(line["run_seconds"]) / seeds[line["row"]] for line in lines}


def enter(path: pathlib.Path, table: Table, lines: list[dict]) -> None:
    """Writes results.csv with new lines in place of older ones of the same row, scale and table.

    Lines of rows and scales that the table no longer has are dropped.
    """
    new = {(line["table"], line["scale"], line["row"]) for line in lines}
    order = {row.name: k for k, row in enumerate(table.rows)}
    have = {(scale, row) for scale in table.scales for row in table.names(scale)}

    def stays(line):
        gone = line["table"] == path.stem and (line["scale"], line["row"]) not in have
        return not gone and (line["table"], line["scale"], line["row"]) not in new

    def place(line):
        return line["table"], line["scale"], order[line["row"]] if line["table"] == path.stem else 0

    everything = sorted([*filter(stays, read(path.parent)), *lines], key=place)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(everything)
    log.write_whole(path.parent / "results.csv", text.getvalue())


def measured(
    lines: list[dict], path: pathlib.Path, scale: str, measure: Measure
) -> dict[str, dict[int, float]]:
    """Row -> {seed: value} from results.csv; AtLeast(value) where the file has >value."""
    found = {}
    for line in lines:
        if (line["table"], line["scale"], line["measure"]) == (path.stem, scale, str(measure)):
            value, number = line["value"], float(line["value"].removeprefix(">"))
            found.setdefault(line["row"], {})[int(line["seed"])] = (
                AtLeast(number) if value.startswith(">") else number
            )
    return found
