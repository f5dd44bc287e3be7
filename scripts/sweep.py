"""Runs the rows of a paper's table that are not done yet; all seeds of a row train together.

python -m scripts.sweep configs/papers/resnet/depth.py [--scale=small] [--rows=NAME,...]
    [--seeds=N] [--workdir=DIR] [--shard=i/n] [--dry_run]

You can stop it at any time: the same command resumes it. With --shard=0/2 and --shard=1/2, two
machines that share DIR each run every second row, with the rows that continue it. Afterwards run
python -m scripts.report TABLE.py.
"""

from train import host_flags, hosts, interruption

if __name__ == "__main__":
    interruption.listen("python -m scripts.sweep")

import functools
import os
import pathlib
import re

from etils import epath

from configs import base, load
from configs.table import Table, folder_of
from scripts import table_runs
from train import __main__ as command
from train import escapes, experiment, log, report, run_notes
from train.errors import BadInput, NonFinite, Parser, exit_with

MOST_SEEDS = 10_000  # of a row: all train in one program


def chosen(table: Table, scale: str, rows: str | None, shard: str) -> list[str]:
    """The rows by --rows and --shard, and the rows that they continue, in the order of the table.

    A shard holds a row together with all rows that continue it. Raises BadInput.
    """
    if rows is not None and not rows.strip():
        raise BadInput(
            "--rows: is empty, as a variable of the shell that is not set; name rows, or leave it "
            "out for all"
        )
    names = [table.row(name).name for name in rows.split(",")] if rows else table.names(scale)
    names = [before for name in names for before in table.line(name)]
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not match or int(match[1]) >= int(match[2]):
        raise BadInput(f"--shard: {shard!r} must be i/n with 0 <= i < n, such as 0/2")
    first = list(dict.fromkeys(table.line(row.name)[0] for row in table.rows if row.name in names))
    mine = first[int(match[1]) :: int(match[2])]
    return [row.name for row in table.rows if row.name in names and table.line(row.name)[0] in mine]


def plan(
    path: pathlib.Path,
    table: Table,
    scale: str,
    rows: list[str],
    seeds: tuple[int, ...],
    runs: pathlib.Path,
) -> tuple[str, list[BadInput]]:
    """What a sweep will do, and what stands in its way.

    The first has the time per seed that the same rows took when results.csv was made. The second
    lists rows that were run with other seeds, or before their config changed.
    """
    seconds = table_runs.seconds_a_seed(path, scale)  # or per ensemble
    lines, total, unknown, refused = (
        [escapes.plain(f"{table.title}; scale {scale}: {table.scale(scale).about}")],
        0.0,
        0,
        [],
    )
    width = max(map(len, rows), default=0)
    for name in rows:
        where, config = (
            runs / folder_of(name),
            base.override(table.config(name, scale), {"seeds": seeds}),
        )
        done, took, state = (where / "result.json").exists(), seconds.get(name), "done"
        took = None if took is None else took * len(seeds) / config.eval.ensemble
        try:
            table_runs.same_row(table, where, config)
        except BadInput as error:
            state = "refused, another config is there"
            refused.append(error)
        if not done and state == "done":
            total, unknown = total + (took or 0), unknown + (took is None)
            state = "not measured yet" if took is None else f"about {took / 60:.1f} min"
        lines.append(
            f"  {name:<{width}} {_steps(config.optim.steps):>16}, {len(seeds)} seeds: {state}"
        )
    times = [f"{total / 60:.1f} min, as measured where results.csv says"] if total else []
    times += [f"{unknown} rows of unknown length"] if unknown else []
    lines.append(
        f"  to do: {', and '.join(times) or ('nothing' if rows else 'nothing, as this shard has no rows')}"
    )
    return "\n".join(lines), refused


def _steps(duration: int | str) -> str:
    return f"{duration:,} steps" if isinstance(duration, int) else duration


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.sweep", __doc__)
    parser.add_argument("table", metavar="TABLE.py")
    parser.add_argument("--scale", default="small", help="one of the table's scales")
    parser.add_argument("--rows", metavar="NAME,...", help="only these")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="seeds 0 to N - 1, instead of the scale's number"
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        help="where the runs go, in a folder for the scale; runs/PAPER/TABLE",
    )
    parser.add_argument(
        "--shard", default="0/1", metavar="i/n", help="every n-th row from row i on"
    )
    parser.add_argument("--dry_run", action="store_true", help="only print the plan")
    host_flags.add(parser)
    flags = parser.parse_args(arguments)
    command.prepare_jax()
    hosts.initialise(flags, parser.prog)
    say = functools.partial(print, flush=True) if hosts.first() else lambda *_: None
    path, table = load.load_table(flags.table)
    count = table.scale(flags.scale).seeds if flags.seeds is None else flags.seeds
    if not 1 <= count <= MOST_SEEDS:
        raise BadInput(f"--seeds: {count} must be from 1 to {MOST_SEEDS:,}")
    runs, rows = (
        table_runs.workdir_of(path, flags.scale, flags.workdir),
        chosen(table, flags.scale, flags.rows, flags.shard),
    )
    for name in rows:
        _about(name, base.validate, table.config(name, flags.scale))
    text, refused = plan(path, table, flags.scale, rows, tuple(range(count)), runs)
    say(text)
    if refused:
        raise refused[0]
    if flags.dry_run:
        return 0
    from scripts import table_figure  # half a second, which a plan does not pay

    table_figure.check(path, table)
    for name in rows:
        if not (runs / folder_of(name) / "result.json").exists():
            check(
                path,
                table,
                name,
                base.override(table.config(name, flags.scale), {"seeds": tuple(range(count))}),
            )
    failed, outcomes = [], {}
    for k, name in enumerate(rows):
        where, before = runs / folder_of(name), table.row(name).of
        # as process 0 sees it
        done = hosts.share(str((where / "result.json").exists()))[0] == "True"
        say(f"row {k + 1} of {len(rows)}: {name}{' is done' if done else ''}")
        try:
            if before in failed:
                raise NonFinite(f"it goes on from {before}")
            if before and hosts.first():
                hand_over(runs / folder_of(before), where)
            if not done:
                run(path, flags.scale, name, count, where)
        except NonFinite as error:  # the other rows are still worth running
            outcomes[name] = str(error)
            failed.append(name)
        else:
            outcomes[name] = outcome(table, where)
        say(f"{name}: {outcomes[name]}")
    width = max(map(len, outcomes), default=0)
    say(
        "\n".join(
            [
                escapes.plain(f"{table.title}; scale {flags.scale}:"),
                *(f"  {name:<{width}} {text}" for name, text in outcomes.items()),
            ]
        )
    )
    if failed:
        raise NonFinite(
            f"no result of {', '.join(failed)}: numbers that are not finite, as said above"
        )
    return 0


def _about(row: str, function, *arguments):
    try:
        return function(*arguments)
    except BadInput as error:
        raise BadInput(f"row {row}: {error}") from None


def check(path: pathlib.Path, table: Table, name: str, config) -> None:
    """Raises BadInput, before any row trains, for a row that cannot be built.

    Also for a row whose log will lack what the table reads.
    """
    have = _about(name, experiment.build, config).metrics
    # as table_runs reads it
    judged = "test" if any(metric.startswith("test/") for metric in have) else "validation"
    for metric in sorted(table.metrics):
        if metric.replace("test/", f"{judged}/", 1) not in have:
            raise BadInput(
                f"{path}: row {name} has no metric {metric!r}; choose from {', '.join(have)}"
            )


def hand_over(before: epath.Path, where: epath.Path) -> None:
    """Gives the run in `where` the last checkpoint and the log of the finished run `before`.

    Unless that run has begun already.
    """
    # both here and in a run it is written last; a copy that was cut short is made again
    if (where / run_notes.FILE).exists() or (where / "config.json").exists():
        return
    folders = (
        [folder.name for folder in (before / "checkpoints").iterdir()]
        if (before / "checkpoints").exists()
        else []
    )
    newest = max((int(name) for name in folders if name.isdigit()), default=None)
    if newest is None:
        raise BadInput(
            f"{before}: is done but has no checkpoint to go on from; delete its result.json to "
            "train it again"
        )
    copy(before / "checkpoints" / str(newest), where / "checkpoints" / str(newest))
    log.write_whole(where / log.FILE, (before / log.FILE).read_bytes())
    run_notes.write(where, handed_over=newest)


def copy(folder: epath.Path, to: epath.Path) -> None:
    if os.path.islink(to):
        raise BadInput(f"--workdir: {to} is a link; move it away")
    to.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir():
            copy(path, to / path.name)
        else:
            log.write_whole(to / path.name, path.read_bytes())


def run(path: pathlib.Path, scale: str, name: str, seeds: int, where: pathlib.Path) -> None:
    """Trains or resumes a row in this process: what kills the sweep kills the run too."""
    try:
        shown = path.relative_to(load.ROOT)
    except ValueError:
        shown = path
    numbers = ",".join(map(str, range(seeds)))
    command.main(
        [f"--config={shown}:{scale}/{name}", f"--config.seeds={numbers}", f"--workdir={where}"]
    )
    import jax

    jax.clear_caches()  # the next row has its own programs


def outcome(table: Table, where: pathlib.Path) -> str:
    return f"{table.measure} {table_runs.cell(table_runs.values(table.measure, where, report.read(where)))}"


if __name__ == "__main__":
    exit_with(main, "python -m scripts.sweep")
