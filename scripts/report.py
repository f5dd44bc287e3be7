"""Shows finished runs; a table's runs become results.csv, a page and figures beside the table.

python -m scripts.report RUN...
    prints each run's result and writes nothing
python -m scripts.report TABLE.py [--workdir=DIR]
    judges the table's finished runs; writes results.csv, README.md and figures beside the table,
    and for a paper's table configs/papers/README.md
python -m scripts.report --enter [RUN...]
    this repository's own numbers: appends the runs to configs/results.csv, then writes the blocks
    of README.md and configs/README.md and the pages of all papers again
python -m scripts.report --check
    fails when a page of this repository does not match its results.csv
"""

import csv
import io
import pathlib

from etils import epath

from scripts import paper_index, paper_pages, table_report
from scripts.paper_index import BEGIN, with_block
from train import escapes, paths
from train.errors import BadInput, Parser, exit_with
from train.escapes import code, markdown
from train.log import summary, write_whole
from train.report import RESULT, origin, read, show

ROOT = pathlib.Path(__file__).parent.parent
RESULTS, PAGE, FRONT = (ROOT / p for p in ("configs/results.csv", "configs/README.md", "README.md"))
SHOWN = {  # in README.md, under these names
    "LeNet-5, Fashion-MNIST": "lenet_fashion_mnist.py",
    "VGG-D with batch norm, narrow, Fashion-MNIST": "cnn_fashion_mnist.py:model=vgg_bn",
    "ResNet-18, narrow, Fashion-MNIST": "cnn_fashion_mnist.py:model=resnet",
    "LSTM, JapaneseVowels": "lstm_japanese_vowels.py",
    "LSTM, adding problem at T=400": "lstm_adding.py:T=400",
    "bidirectional LSTM, tags of the Brown corpus": "tagger_brown.py",
    "Seq2Seq with attention, letters to phones": "seq2seq_cmudict.py:attention=additive",
    "Seq2Seq without attention, letters to phones": "seq2seq_cmudict.py:attention=none",
}
COLUMNS = (
    *("command", "data", "metric", "seeds", "values", "steps", "seconds"),
    *("device", "jax", "python", "git", "data_digest", "finished"),
)


def result_of(run: str) -> tuple[epath.Path, dict]:
    """The workdir and the result of a run. Raises BadInput if it has no result."""
    workdir = paths.path_of(run, "RUN")
    if not (workdir / RESULT).exists():
        raise BadInput(
            f"{run}: has no {RESULT}; name a run that is trained to its end, or tables alone"
        )
    return workdir, read(workdir)


def shown(run: str) -> str:
    """A run's result in a few lines, and where it comes from."""
    workdir, result = result_of(run)
    facts = dict(command=result["command"]) | origin(result)
    lines = [f"{name:<18} {escapes.plain(value)}" for name, value in facts.items() if value]
    return "\n".join([show(workdir, result), *lines])


def row(run: str) -> dict[str, str]:
    """The line of a run in results.csv. Raises BadInput if it has no result."""
    _, result = result_of(run)
    return dict(
        command=result["command"],
        metric=result["metric"],
        seeds=" ".join(map(str, result["seeds"])),
        values=" ".join(
            "nan" if v is None else f"{v:.6g}"
            for v in result["metrics"][result["metric"]]["per_seed"]
        ),
        steps=result["steps"],
        seconds=result["seconds"],
        python=result["versions"]["python"],
        **origin(result),
    )


def newest(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """The newest row of each command."""
    found = {}
    for row in rows:
        found[row["command"]] = max(
            found.get(row["command"], row), row, key=lambda row: row["finished"]
        )
    return found


def result(row: dict[str, str]) -> str:
    """'test/error 8.54 +- 0.23% (N=3)'."""
    values = [float(v) for v in row["values"].split()]
    unit = "%" if row["metric"].endswith("error") else ""
    return f"{markdown(row['metric'])} {summary(values)}{unit} (N={len(values)})"


def front(rows: list[dict[str, str]]) -> str:
    """The block of README.md: some results, and how many claims of papers held."""
    found, lines = newest(rows), ["| experiment | config | result |", "|---|---|---|"]
    for name, config in SHOWN.items():
        row = found.get(f"python -m train --config=configs/{config}")
        if row:
            lines.append(f"| {name} | {code(config)} | {result(row)} |")
    score = paper_index.sentence(paper_index.score(paper_pages.PAPERS))
    return "\n".join(lines) + f"\n\n**Claims of the papers: {score}.**\n"


def block(rows: list[dict[str, str]]) -> str:
    """The table of configs/README.md: the newest row of each command."""
    lines = [
        "| command | data | result, mean +- std over seeds | steps | measured on |",
        "|---|---|---|---|---|",
    ]
    for r in newest(rows).values():
        where = f"{r['device']}, jax {r['jax']}, {r['finished'][:10]}, "
        lines.append(
            f"| {code(r['command'])} | {markdown(r['data'])} | {result(r)} | "
            f"{int(r['steps']):,} in {float(r['seconds']):,.0f} s | {markdown(where)} {code(r['git'][:7])} |"
        )
    return "\n".join(lines) + "\n"


def pages(rows: list[dict[str, str]]) -> dict[pathlib.Path, str]:
    """The pages with a block that is made from configs/results.csv, as they should be."""
    blocks = {PAGE: block(rows), FRONT: front(rows)}
    return {page: with_block(page.read_text("utf-8"), text) for page, text in blocks.items()}


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.report", __doc__)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN|TABLE.py", help="a run's workdir, or tables"
    )
    parser.add_argument(
        "--enter",
        action="store_true",
        help="enter the runs in configs/results.csv and write this repository's pages again",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 when a page does not match its results"
    )
    parser.add_argument(
        "--workdir", metavar="DIR", help="of a table: where scripts.sweep put its runs"
    )
    flags = parser.parse_args(arguments)
    tables = bool(flags.runs) and all(run.endswith(".py") for run in flags.runs)
    if flags.check and (flags.runs or flags.enter):
        raise BadInput("--check: looks at all that is reported; leave RUN and --enter out")
    if flags.enter and tables:
        raise BadInput("--enter: is of runs; a table's are entered beside it without it")
    if flags.workdir is not None and not tables:
        raise BadInput("--workdir: of a table alone")
    if not (flags.runs or flags.enter or flags.check):
        raise BadInput("name a RUN or a TABLE.py; or give --enter or --check")
    if tables:
        for table in flags.runs:
            table_report.report(table, flags.workdir)
    elif flags.check:
        return check()
    elif flags.enter:
        enter([row(run) for run in flags.runs])
    else:
        print("\n\n".join(map(shown, flags.runs)))
    return 0


def entered() -> list[dict[str, str]]:
    """The lines of configs/results.csv. Raises BadInput outside a checkout of this repository."""
    if not all(page.exists() and BEGIN in page.read_text("utf-8") for page in (PAGE, FRONT)):
        raise BadInput(f"{ROOT}: is not a checkout of this repository, with its README.md")
    return (
        list(csv.DictReader(RESULTS.open(encoding="utf-8", newline=""))) if RESULTS.exists() else []
    )


def check() -> int:
    """Prints the pages that do not match their results.csv; 1 if there are any."""
    stale = [page for page, text in pages(entered()).items() if page.read_text("utf-8") != text]
    stale += paper_index.stale(paper_pages.PAPERS)
    for page in stale:
        print(
            f"{page.relative_to(ROOT)} does not match its results.csv; run python -m "
            "scripts.report --enter"
        )
    return 1 if stale else 0


def enter(new: list[dict[str, str]]) -> None:
    """Appends the lines that are new to configs/results.csv, and writes the pages again."""
    rows = entered()
    known = {(old["command"], old["finished"]) for old in rows}
    rows += [r for r in new if (r["command"], r["finished"]) not in known]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(RESULTS, text.getvalue())
    table_report.write_all()
    for page, text in pages(rows).items():
        write_whole(page, text)
    print(f"written: {RESULTS.relative_to(ROOT)}, README.md and the pages below configs")


if __name__ == "__main__":
    exit_with(main, "python -m scripts.report")
