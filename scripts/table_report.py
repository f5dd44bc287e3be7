"""A paper's tables and results.csv -> README.md and figures in its folder; and the index over all papers."""

import itertools
import pathlib

from configs import load, statistics
from configs.statistics import HELD, NOT_HELD, UNDECIDED
from configs.table import AtBest, AtLeast, Steps, Table
from scripts.table_runs import collect, enter, folder_of, measured, read, workdir_of
from train import log
from train.errors import BadInput

PAPERS = load.ROOT / "configs" / "papers"


def verdicts(table: Table, lines: list[dict], path: pathlib.Path, scale: str) -> list[statistics.Verdict]:
    """Of each claim, in order."""
    found = {measure: measured(lines, path, scale, measure) for measure in table.measures}
    verdicts = []
    for claim in table.claims:
        first, *others = (found[measure] for measure in claim.measures(table))
        left_out = [row for row in claim.rows() if row not in table.names(scale)]
        if left_out:
            verdicts.append(statistics.Verdict("not at this scale", f"left out: {', '.join(left_out)}"))
        else:
            verdicts.append(claim.verdict(first, table, *others))
    return verdicts


def scales_run(table: Table, lines: list[dict], path: pathlib.Path) -> list[str]:
    have = {line["scale"] for line in lines if line["table"] == path.stem}
    return [scale for scale in table.scales if scale in have]


def section(path: pathlib.Path, table: Table, lines: list[dict]) -> str:
    """The part of a paper's README that is about one table."""
    out = [f"## {table.title}", "", table.says, ""] if table.says else [f"## {table.title}", ""]
    run, steps = scales_run(table, lines, path), isinstance(table.measure, Steps)
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
            never = sum(isinstance(value, AtLeast) for value in ours[scale][row.name].values())
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
        at = ", each seed at its best validation step" if isinstance(table.measure, AtBest) else ", at the last step"
        what = "mean [95% interval] over seeds" + ("" if steps else at)
        out += [f"{head}{what}; {'; '.join(data)}; {where}.{command}"]
    if any(isinstance(m, Steps) for m in table.measures):
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
        for name in (figure_name(path, scale), *(figure_name(path, scale, kind) for kind in table.figures)):
            if (path.parent / name).exists():
                out += [f"![{table.title}, {scale}]({name})", ""]
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
    out = ["# Papers", "", "Generated by `python -m scripts.report`. Rows and claims count at each scale that was run.", ""]
    out += ["| table | scale | rows run | held | not held | undecided |", "|---|---|---|---|---|---|"]
    for folder in sorted(f for f in papers.iterdir() if (f / "README.md").exists() or list(f.glob("[a-z]*.py"))):
        lines = read(folder)
        for path, table in tables(folder):
            link = f"[{folder.name}/{path.stem}]({folder.name}/README.md)"
            run = scales_run(table, lines, path)
            for scale in run:
                words = [v.word for v in verdicts(table, lines, path, scale)]
                rows, of = len(measured(lines, path, scale, table.measure)), len(table.names(scale))
                counts = " | ".join(str(words.count(word)) for word in (HELD, NOT_HELD, UNDECIDED))
                out.append(f"| {link}: {table.title} | {scale} | {rows} / {of} | {counts} |")
            if not run:
                out.append(f"| {link}: {table.title} | - | 0 / {len(table.rows)} | 0 | 0 | 0 |")
    return "\n".join(out) + "\n"


def figure_name(path: pathlib.Path, scale: str, kind: str = "") -> str:
    return f"{path.stem}_{scale}{kind and '_'}{kind}.png"


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
            present = {name: runs / folder_of(name) for name in ours if (runs / folder_of(name)).exists()}
            table_figure.draw(file, table, scale, ours, present)
            for kind in table.figures if present else ():
                table_figure.FIGURES[kind](path.parent / figure_name(path, scale, kind), present)
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
