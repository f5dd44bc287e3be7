"""The runs of a paper's table -> results.csv, README.md and figures in the paper's folder; and the index over all papers."""

import csv
import itertools
import json
import math
import pathlib
import re

from etils import epath

from configs import load, statistics
from configs.statistics import HELD, NOT_HELD, UNDECIDED
from configs.table import Measure, Table, Until
from train import log
from train.errors import BadInput

PAPERS = load.ROOT / "configs" / "papers"
COLUMNS = (
    *("table", "scale", "row", "seed", "measure", "value", "steps", "parameters", "run_seconds"),
    *("command", "data", "device", "jax", "git", "finished"),
)


def folder(name: str) -> str:
    """A row's name as that of a folder."""
    return re.sub(r"[^\w.=+-]+", "_", name)


def workdir_of(path: pathlib.Path, scale: str, parent: str | None) -> pathlib.Path:
    """Where the runs of a table lie: runs/PAPER/TABLE/SCALE unless `parent` takes the place of runs/PAPER/TABLE."""
    return pathlib.Path(parent or f"runs/{path.parent.name}/{path.stem}") / scale


def values(measure: Measure, run: pathlib.Path, result: dict) -> dict[int, float]:
    """{seed: value} of a finished run, from its log: of the last step (a metric of training: since the record before)."""
    split, _, metric = str(measure if isinstance(measure, str) else measure.metric).partition("/")
    records = [r for r in log.read(epath.Path(run)) if r["split"] == split and metric in r]
    if not records:
        have = sorted({f"{r['split']}/{key}" for r in log.read(epath.Path(run)) for key in r} - {"step", "split"})
        raise BadInput(f"{run}: no metric '{split}/{metric}' in its log; have {', '.join(have)}")
    if isinstance(measure, str):
        return {seed: math.nan if v is None else v for seed, v in zip(result["seeds"], records[-1][metric], strict=True)}
    found = {}
    for i, seed in enumerate(result["seeds"]):
        steps = [r["step"] for r in records if r[metric][i] is not None and r[metric][i] <= measure.level]
        found[seed] = float(min(steps, default=result["steps"]) * measure.examples)
    return found


def collect(path: pathlib.Path, table: Table, scale: str, runs: pathlib.Path) -> list[dict]:
    """The lines of results.csv of the rows whose runs are done."""
    lines, files = [], {row.name: runs / folder(row.name) / "result.json" for row in table.rows}
    results = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    for row in table.rows:
        if row.name not in results:
            continue
        run, result = files[row.name].parent, results[row.name]
        before = results[row.of]["seconds"] if row.of in results else 0  # what the run went on from took that
        device, data = result["device"], result["data"]
        examples = ", ".join(f"{count:,} {split}" for split, count in data["examples"].items())
        for measure in table.measures:
            for seed, value in values(measure, run, result).items():
                lines.append(
                    dict(
                        table=path.stem,
                        scale=scale,
                        row=row.name,
                        seed=str(seed),
                        measure=str(measure),
                        value=f"{value:.6g}",
                        steps=str(result["steps"]),
                        parameters=str(result["parameters"]),
                        run_seconds=str(round(result["seconds"] - before, 1)),
                        command=result["command"].split(" --workdir")[0],
                        data=f"{data.get('source', 'generated')}: {examples}",
                        device=f"{device['kind']} x {device['count']}"
                        + (f", {device['cores']} cores" if device["cores"] else ""),
                        jax=result["versions"]["jax"],
                        git=result["git"] or "",
                        finished=result["finished"],
                    )
                )
    return lines


def read(folder: pathlib.Path) -> list[dict]:
    file = folder / "results.csv"
    return list(csv.DictReader(file.open())) if file.exists() else []


def seconds(path: pathlib.Path, scale: str) -> dict[str, float]:
    """Row -> the training time in results.csv."""
    lines = [line for line in read(path.parent) if (line["table"], line["scale"]) == (path.stem, scale)]
    return {line["row"]: float(line["run_seconds"]) for line in lines}


def enter(path: pathlib.Path, table: Table, lines: list[dict]) -> None:
    """Writes results.csv, in which new lines take the place of older ones of the same row, scale and table."""
    new = {(line["table"], line["scale"], line["row"]) for line in lines}
    kept = [old for old in read(path.parent) if (old["table"], old["scale"], old["row"]) not in new]
    order = {row.name: k for k, row in enumerate(table.rows)}

    def place(line):
        return line["table"], line["scale"], order.get(line["row"], 0) if line["table"] == path.stem else 0

    everything = sorted([*kept, *lines], key=place)
    part = path.parent / "results.csv.part"
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(everything)
    part.replace(path.parent / "results.csv")


def measured(lines: list[dict], path: pathlib.Path, scale: str, measure: Measure) -> dict[str, dict[int, float]]:
    """Row -> {seed: value} from results.csv."""
    found = {}
    for line in lines:
        if (line["table"], line["scale"], line["measure"]) == (path.stem, scale, str(measure)):
            found.setdefault(line["row"], {})[int(line["seed"])] = float(line["value"])
    return found


def verdicts(table: Table, lines: list[dict], path: pathlib.Path, scale: str) -> list[statistics.Verdict]:
    """Of each claim, in order."""
    return [c.verdict(measured(lines, path, scale, c.measure or table.measure), table) for c in table.claims]


def scales_run(table: Table, lines: list[dict], path: pathlib.Path) -> list[str]:
    have = {line["scale"] for line in lines if line["table"] == path.stem}
    return [scale for scale in table.scales if scale in have]


def section(path: pathlib.Path, table: Table, lines: list[dict]) -> str:
    """The part of a paper's README that is about one table."""
    out = [f"## {table.title}", "", table.says, ""] if table.says else [f"## {table.title}", ""]
    run, steps = scales_run(table, lines, path), isinstance(table.measure, Until)
    ours = {scale: measured(lines, path, scale, table.measure) for scale in run}
    of_row = {(line["scale"], line["row"]): line for line in lines if line["table"] == path.stem}
    heads = ["row", "paper", *itertools.chain(*((f"{s}: parameters", f"{s}: {table.measure}") for s in run))]
    out += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table.rows:
        cells = [row.name, "" if row.paper is None else row.paper if isinstance(row.paper, str) else f"{row.paper:,}"]
        for scale in run:
            if row.name not in ours[scale]:
                cells += ["", "not run" if row.name in table.names(scale) else "not at this scale"]
                continue
            interval = statistics.mean(list(ours[scale][row.name].values()))
            run_to = float(of_row[scale, row.name]["steps"]) * (table.measure.examples if steps else 0)
            never = sum(value == run_to for value in ours[scale][row.name].values()) if steps else 0
            cells += [f"{int(of_row[scale, row.name]['parameters']):,}", _cell(interval, never)]
        out.append("| " + " | ".join(cells) + " |")
    out.append("")
    for scale in table.scales:
        head = f"* Scale `{scale}` ({table.scales[scale].about}): "
        command = f" `python -m scripts.sweep {_relative(path)} --scale={scale}`"
        if scale not in run:
            out += [f"{head}not run.{command}"]
            continue
        some = [line for (s, _), line in of_row.items() if s == scale]
        minutes = sum(float(line["run_seconds"]) for line in some) / 60
        about = sorted({f"{line['device']}, jax {line['jax']}" for line in some})
        data = sorted({line["data"] for line in some if line["data"]})
        where = f"{minutes:.0f} min of training on {'; '.join(about)}"
        what = "mean [95% interval] over seeds" + ("" if steps else ", at the last step")
        out += [f"{head}{what}; {'; '.join(data)}; {where}.{command}"]
    if any(isinstance(m, Until) for m in table.measures):
        out += ["* A seed that never came to the level counts with all steps of its run, so such a number is a lower bound."]
    if "paper" not in run:
        out += ["* The paper's numbers are of its own data, size and schedule: they are not to be set against ours."]
    out.append("")
    if table.claims and run:
        out += ["| the paper says | " + " | ".join(run) + " |", "|---|" + "---|" * len(run)]
        found = {scale: verdicts(table, lines, path, scale) for scale in run}
        for k, claim in enumerate(table.claims):
            cells = [f"**{found[scale][k].word}**: {found[scale][k].evidence}{_note(claim, scale)}" for scale in run]
            out.append("| " + " | ".join([claim.says, *cells]) + " |")
        out.append("")
    for scale in run:
        if (path.parent / figure_name(path, scale)).exists():
            out += [f"![{table.title}, {scale}]({figure_name(path, scale)})", ""]
    return "\n".join(out)


def _cell(interval: statistics.Interval, never: int) -> str:
    n = statistics.number
    spread = f" [{n(interval.low)}, {n(interval.high)}]" if interval.count > 1 else ""
    return f"{n(interval.mean)}{spread} (N={interval.count}{f', {never} never' if never else ''})"


def _note(claim, scale: str) -> str:
    return f". {claim.notes[scale]}" if scale in claim.notes else ""


def _relative(path: pathlib.Path) -> str:
    return str(path.relative_to(load.ROOT)) if path.is_relative_to(load.ROOT) else str(path)


def tables(folder: pathlib.Path) -> list[tuple[pathlib.Path, Table]]:
    return [load.load_table(str(file)) for file in sorted(folder.glob("[a-z]*.py"))]


def page(folder: pathlib.Path) -> str:
    """README.md of a paper's folder, from its tables and its results.csv."""
    lines = read(folder)
    head = f"# {folder.name}\n\nGenerated by `python -m scripts.report` from the tables and results.csv of this folder.\n\n"
    return head + "\n".join(section(path, table, lines) for path, table in tables(folder))


def index(papers: pathlib.Path) -> str:
    """README.md over all papers: what was run and what held."""
    out = ["# Papers", "", "Generated by `python -m scripts.report`. Claims are counted over the scales that were run.", ""]
    out += ["| table | scale | rows run | held | not held | undecided |", "|---|---|---|---|---|---|"]
    for folder in sorted(f for f in papers.iterdir() if (f / "README.md").exists() or list(f.glob("[a-z]*.py"))):
        lines = read(folder)
        for path, table in tables(folder):
            for scale in scales_run(table, lines, path) or ["-"]:
                words = [v.word for v in verdicts(table, lines, path, scale)]
                rows = len(measured(lines, path, scale, table.measure))
                counts = " | ".join(str(words.count(word)) for word in (HELD, NOT_HELD, UNDECIDED))
                link = f"[{folder.name}/{path.stem}]({folder.name}/README.md)"
                out.append(f"| {link}: {table.title} | {scale} | {rows} / {len(table.rows)} | {counts} |")
    return "\n".join(out) + "\n"


def figure_name(path: pathlib.Path, scale: str) -> str:
    return f"{path.stem}_{scale}.png"


def report(table_file: str, workdir: str | None) -> None:
    """Enters the finished runs of every scale of a table, draws, and writes the paper's README and the index.

    Raises BadInput where no run is finished.
    """
    path, table = load.load_table(table_file)
    from scripts import table_figure  # matplotlib is half a second that a sweep's plan does not pay

    entered = 0
    for scale in table.scales:
        runs = workdir_of(path, scale, workdir)
        lines = collect(path, table, scale, runs)
        if lines:
            enter(path, table, lines)
            file = path.parent / figure_name(path, scale)
            ours = measured(read(path.parent), path, scale, table.measure)
            present = {name: runs / folder(name) for name in ours if (runs / folder(name)).exists()}
            table_figure.draw(file, table, scale, ours, present)
            for claim, verdict in zip(table.claims, verdicts(table, read(path.parent), path, scale), strict=True):
                print(f"{scale}: {verdict.word}: {claim.says}: {verdict.evidence}")
        entered += len(lines)
    if not entered:
        where = workdir_of(path, "SCALE", workdir)
        raise BadInput(f"no finished run in {where}; python -m scripts.sweep {_relative(path)}, or name its --workdir")
    write_pages(path.parent)
    print(f"written: {_relative(path.parent / 'results.csv')}, README.md and figures beside it")


def write_pages(folder: pathlib.Path) -> None:
    log.write_whole(folder / "README.md", page(folder))
    if folder.parent == PAPERS:
        log.write_whole(PAPERS / "README.md", index(PAPERS))


def write_all() -> None:
    """Every paper's README and the index, from what results.csv says."""
    for folder in PAPERS.iterdir():
        if folder.is_dir() and list(folder.glob("*.py")):
            write_pages(folder)


def stale() -> list[pathlib.Path]:
    """The README files that do not match their results.csv."""
    pages = {folder / "README.md": page(folder) for folder in PAPERS.iterdir() if folder.is_dir() and list(folder.glob("*.py"))}
    pages[PAPERS / "README.md"] = index(PAPERS)
    return [file for file, text in pages.items() if not file.exists() or file.read_text() != text]
