"""Kills runs, damages their checkpoints and fills their disk, and checks that nothing is lost.

python -m scripts.torture [--runs=lenet,lstm] [--kills=100] [--corruptions=50] [--faults=20]
    [--seed=0]

kills: this many kill -9 and this many SIGTERM, over the runs, each at a random moment of a start or
resumption of a tiny run. Every run must end with the arrays and records of an undisturbed run.
corruptions: of files of the newest checkpoint.
disk: a workdir that fills up (a small tmpfs; needs root), and one that is read-only.
faults: this many of each kind, over the runs. Each is set up before an interrupted run, which the
  same command then resumes. The run must end with the arrays and records of an undisturbed run, or
  be refused in one line; what it points to or held before must stay. Kinds (--kinds=NAME,...):
  links     links in place of files, of checkpoints and of folders, as on a machine of 8 cores
  paths     a workdir below a folder with odd characters in its name
  logs      metrics.jsonl cut short, a line lost, twice, or changed
  code      another sign of the gradient, other code, another config, config.json gone
  rights    a right that is missing on gs://
  server    a server of gs:// that stops, or refuses all requests, in mid-run, and then returns
  The last two run a fifth as many; they need the extra test-services.
The exit code is 1 where anything differed.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from scripts import torture_bucket, torture_faults
from scripts.torture_runs import RUNS, arrays_of, records_of, same, start
from train.errors import BadInput, Parser, exit_with

KINDS = {  # kinds of faults -> the function that sets them up
    **dict.fromkeys(torture_faults.KINDS, torture_faults.torture),
    **dict.fromkeys(torture_bucket.KINDS, torture_bucket.torture),
}


def kill(
    name: str, number: signal.Signals, count: int, whole: pathlib.Path, folder: pathlib.Path, draw
) -> bool:
    """Sends `count` signals to runs that are resumed after each, and compares each finished run.

    A run that is done is followed by a new one.
    """
    expected, records = arrays_of(whole)[1], records_of(whole)
    sent, runs, codes, good = 0, 0, {}, True
    seconds, begun = 6.0, time.time()
    while sent < count:
        workdir, runs, last = folder / f"{name}-{number.name}-{runs}", runs + 1, False
        while not last:
            last = sent == count
            process, since = start(*RUNS[name], f"--workdir={workdir}"), time.time()
            try:
                out, _ = process.communicate(timeout=None if last else draw.uniform(0, seconds))
                seconds = max(
                    1.0, 0.9 * seconds + 0.1 * (time.time() - since)
                )  # the time of a whole start, on a machine as busy as now
                last = True
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                out, _ = process.communicate()
                sent += 1
                codes[process.returncode] = codes.get(process.returncode, 0) + 1
                last = process.returncode == 0
                if process.returncode not in ((-9,) if number == signal.SIGKILL else (75, 0, -15)):
                    print(f"{name}: {number.name} ended with {process.returncode}: {out}")
                    good = False
        equal = (
            process.returncode == 0
            and same(arrays_of(workdir)[1], expected)
            and records_of(workdir) == records
        )
        if not equal:
            print(
                f"{name}: {workdir} differs from the uninterrupted run, or ended with "
                f"{process.returncode}:\n{out}"
            )
        good &= equal
        shutil.rmtree(workdir, ignore_errors=equal)
    ended = ", ".join(f"{code}: {times}" for code, times in sorted(codes.items()))
    print(
        f"{name}: {sent} x {number.name} in {runs} runs, {'all' if good else 'NOT all'} "
        "bit-identical to the uninterrupted one "
        f"at their ends (exit codes {ended}; {time.time() - begun:.0f} s)",
        flush=True,
    )
    return good


def damage(folder: pathlib.Path, draw) -> str:
    """Damages one file of a checkpoint; describes how."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    file = draw.choice(files)
    contents, how = (
        bytearray(file.read_bytes()),
        draw.choice(("bit", "bit", "cut", "zeros", "gone")),
    )
    where = draw.randrange(len(contents))
    if how == "bit":
        contents[where] ^= 1 << draw.randrange(8)
    elif how == "cut":
        contents = contents[:where]
    elif how == "zeros":
        contents[where:] = bytes(len(contents) - where)
    file.unlink() if how == "gone" else file.write_bytes(contents)
    return f"{how} in {file.relative_to(folder)} at {where}"


def corrupt(name: str, count: int, whole: pathlib.Path, folder: pathlib.Path, draw) -> bool:
    """Damages the newest of two checkpoints of a copy, `count` times.

    Each time one of the two must be restored, whole.
    """
    newest, expected = arrays_of(whole)
    steps = sorted(
        int(path.name) for path in (whole / "checkpoints").iterdir() if path.name.isdigit()
    )
    shutil.copytree(
        whole / "checkpoints",
        folder / "before" / "checkpoints",
        ignore=shutil.ignore_patterns(str(newest)),
    )
    older, before = arrays_of(folder / "before")
    fallen, unharmed, wrong = 0, 0, 0
    while fallen + wrong < count:
        copy, said = folder / f"copy-{fallen + unharmed + wrong}", []
        shutil.copytree(whole / "checkpoints", copy / "checkpoints")
        how = damage(copy / "checkpoints" / str(newest), draw)
        try:
            step, found = arrays_of(copy, warn=said.append)
        except Exception as error:
            step, found = None, {}
            said.append(f"{type(error).__name__}: {error}")
        if step == older and same(found, before) and said:
            fallen += 1
        elif step == newest and same(found, expected) and not said:
            unharmed += 1
        else:
            wrong += 1
            print(
                f"{name}: {how}: restored step {step} of {steps} wrongly, or without a word: {said}"
            )
        shutil.rmtree(copy)
    print(
        f"{name}: {fallen + unharmed + wrong} damages: {fallen} fell back to the checkpoint "
        f"before with a message, {unharmed} "
        f"hit what no value depends on, and the newest came back whole; {wrong} went wrong",
        flush=True,
    )
    return not wrong


def disk(folder: pathlib.Path) -> bool:
    """A tmpfs with room for a few checkpoints, and then a read-only one."""
    small = folder / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True
    ).returncode:
        print("disk: skipped, as mounting a tmpfs needs root")
        return True
    try:
        process = start(*RUNS["lstm"], f"--workdir={small / 'run'}")
        full, _ = process.communicate()
        step, _ = arrays_of(small / "run")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        refused = start(*RUNS["lstm"], f"--workdir={small / 'other'}")
        line, _ = refused.communicate()
        good = (
            process.returncode == 74
            and step > 0
            and refused.returncode == 2
            and "cannot write" in line
        )
        print(f"disk: full: exit code {process.returncode}, {full.splitlines()[-1]}")
        print(
            f"disk: step {step} is there and whole; read-only: exit code {refused.returncode}, "
            f"{line.splitlines()[-1]}"
        )
        return good
    finally:
        subprocess.run(["umount", small], check=False)


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.torture", __doc__)
    parser.add_argument("--runs", default="lenet,lstm", help="of " + ", ".join(RUNS))
    parser.add_argument(
        "--kills", type=int, default=100, help="of each signal, over all runs (default 100)"
    )
    parser.add_argument("--corruptions", type=int, default=50, help="over all runs (default 50)")
    parser.add_argument(
        "--faults", type=int, default=20, help="of each kind, over all runs (default 20)"
    )
    parser.add_argument(
        "--kinds",
        default=",".join(KINDS),
        metavar="NAME,...",
        help="of faults (default all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and damages")
    flags = parser.parse_args(arguments)
    names, draw, good = flags.runs.split(","), random.Random(flags.seed), True
    kinds = flags.kinds.split(",")
    for name in names:
        if name not in RUNS:
            raise BadInput(f"--runs: unknown {name!r}; choose from {', '.join(RUNS)}")
    for kind in kinds:
        if kind not in KINDS:
            raise BadInput(f"--kinds: unknown {kind!r}; choose from {', '.join(KINDS)}")
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in names:
            whole = folder / name
            process = start(*RUNS[name], f"--workdir={whole}")
            out, _ = process.communicate()
            if process.returncode:
                print(out)
                return 1
            good &= corrupt(
                name, flags.corruptions // len(names), whole, folder / f"{name}-damaged", draw
            )
            for number in (signal.SIGKILL, signal.SIGTERM):
                good &= kill(name, number, flags.kills // len(names), whole, folder, draw)
            for kind in kinds if flags.faults else ():
                good &= KINDS[kind](
                    kind, name, flags.faults // len(names), whole, folder / f"{name}-{kind}", draw
                )
        good &= disk(folder)
    return 0 if good else 1


if __name__ == "__main__":
    exit_with(main, "python -m scripts.torture")
