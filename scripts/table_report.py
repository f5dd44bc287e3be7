"""Turns finished runs of a table into results.csv, the figures and the page beside it."""

import pathlib

from configs import load
from configs.table import folder_of
from scripts import paper_index, paper_pages
from scripts.paper_pages import GENERATED, figure_name, relative, sweep_command, verdicts
from scripts.table_runs import collect, enter, measured, read, workdir_of
from train import escapes, log
from train.errors import BadInput


def report(table_file: str, workdir: str | None) -> None:
    """Enters the finished runs of every scale of a table and writes its figures and pages.

    The pages are the paper's README and the index. Raises BadInput where no run is finished, where
    another README.md is there, or where the table belongs to an installed copy.
    """
    path, table = load.load_table(table_file)
    load.refuse_installed(path)
    from scripts import table_figure  # half a second, which a sweep's plan does not pay

    table_figure.check(path, table)
    readme, entered = path.parent / "README.md", 0
    if readme.exists() and GENERATED not in readme.read_text("utf-8"):
        raise BadInput(
            f"{readme}: is not one that this command wrote; move {path.name} to a folder of its own"
        )
    folders = {scale: workdir_of(path, scale, workdir) for scale in table.scales}
    # before anything is written
    found = {scale: collect(path, table, scale, runs) for scale, runs in folders.items()}
    for scale, lines in found.items():
        runs = folders[scale]
        if lines:
            enter(path, table, lines)
            file = path.parent / figure_name(path, scale)
            ours = measured(read(path.parent), path, scale, table.measure)
            present = {
                name: runs / folder_of(name)
                for name in ours
                if (runs / folder_of(name) / "result.json").exists()
            }
            table_figure.draw(file, table, scale, ours, present)
            for kind in table.figures if present else ():
                table_figure.FIGURES[kind](path.parent / figure_name(path, scale, kind), present)
            for claim, verdict in zip(
                table.claims, verdicts(table, read(path.parent), path, scale), strict=True
            ):
                print(escapes.plain(f"{scale}: {verdict.word}: {claim.says}: {verdict.evidence}"))
        entered += len(lines)
    if not entered:
        where = workdir_of(path, "SCALE", workdir)
        raise BadInput(f"no finished run in {where}; {sweep_command(path)}, or name its --workdir")
    write_pages(path.parent)
    print(f"written: {relative(path.parent / 'results.csv')}, README.md and figures beside it")


def write_pages(folder: pathlib.Path) -> None:
    """Writes the page of a folder, and the index if the folder is one of the papers'."""
    log.write_whole(folder / "README.md", paper_pages.page(folder))
    if folder.parent == paper_pages.PAPERS:
        write_index(folder.parent)


def write_index(papers: pathlib.Path) -> None:
    log.write_whole(papers / "README.md", paper_index.index(papers))


def write_all() -> None:
    """Writes every paper's page and the index from results.csv."""
    for folder in paper_index.folders(paper_pages.PAPERS):
        log.write_whole(folder / "README.md", paper_pages.page(folder))
    write_index(paper_pages.PAPERS)
