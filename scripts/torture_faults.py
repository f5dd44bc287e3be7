"""Faults of a workdir, for scripts.torture.

Each is set up before an interrupted run, which the same command then resumes.
"""

import collections
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable

from scripts.torture_runs import RUNS, arrays_of, records_of, same, start
from train import log
from train.errors import Ending

ROOT = pathlib.Path(__file__).parent.parent
ODD = [*"[]*?\\{}()$&;|<>'\"!#%~,:=+@^` \t\n", "é", "日本", "-", "..", "a", "x" * 120, "\udce9"]
REFUSED = (2, 74)  # the codes of a refusal
LIMIT = 600  # s until a run counts as hanging


@dataclasses.dataclass
class Fault:
    """A fault, and what must come of it.

    how: in words. workdir: where the run is now. harmless: whether everything that does not belong
    to the run is unchanged. says: what a run that ends well must print, where it need not end with
    the same bits. refused: whether it must not end well. options: for the process that resumes it.
    """

    how: str
    workdir: pathlib.Path
    arguments: tuple[str, ...] = ()
    harmless: Callable[[], bool] = lambda: True
    says: str = ""
    refused: bool = False
    options: dict = dataclasses.field(default_factory=dict)


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def links(workdir: pathlib.Path, draw) -> Fault:
    """A link in place of something that belongs to the run.

    It points to somebody else's file, to nothing, to itself, or to where the thing was moved.
    """
    precious = workdir.parent / "precious"
    (precious / "sub").mkdir(parents=True)
    for name in ("thesis.tex", "sub/data.csv"):
        (precious / name).write_text("precious")
    before = contents(precious)
    step = max(int(path.name) for path in (workdir / "checkpoints").iterdir())
    files = ("config.json", "metrics.jsonl", "result.json", "curves.png", "run.json", "writable")
    folders = (".", "checkpoints", "tensorboard")
    place = draw.choice(
        [
            *("lock", *files, *(f"{name}.part" for name in files), *folders),
            *(f"checkpoints/{name}" for name in (step, step + 40, "link")),
        ]
    )
    path = workdir if place == "." else workdir / place
    kind = draw.choice(["file", "folder", "nothing", "itself"] + ["moved"] * path.exists())
    target = dict(
        file=precious / "thesis.tex", folder=precious, nothing=precious / "no", itself=path
    )
    if kind == "moved":
        target[kind] = workdir.parent / "moved"
        path.rename(target[kind])
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(target[kind])
    cores = "import os, runpy; os.cpu_count = lambda: 8; runpy.run_module('train', {}, '__main__')"
    return Fault(
        f"{place} is a link to {kind}",
        workdir,
        harmless=lambda: contents(precious) == before,
        options={"program": ("-c", cores)},
    )


def paths(workdir: pathlib.Path, draw) -> Fault:
    """The run is below a folder with an odd name."""
    name = ""
    while name in ("", ".", "..") or len(os.fsencode(name)) > 255:
        name = "".join(draw.choices(ODD, k=draw.randint(1, 4)))
    folder = workdir.parent / name
    folder.mkdir()
    return Fault(f"below {name!r}", workdir.rename(folder / "run"))


def logs(workdir: pathlib.Path, draw) -> Fault:
    """Damage to the records."""
    file = workdir / log.FILE
    lines = file.read_text().splitlines(keepends=True)
    number, how = (
        draw.randrange(len(lines)),
        draw.choice(("cut", "lost", "twice", "changed", "gone")),
    )
    if how == "changed":
        digits = [i for i, character in enumerate(lines[number]) if character in "12345678"]
        i = draw.choice(digits)
        lines[number] = lines[number][:i] + str(int(lines[number][i]) + 1) + lines[number][i + 1 :]
    elif how in ("lost", "twice"):
        lines[number : number + 1] = [lines[number]] * (2 * (how == "twice"))
    text = "".join(lines)
    if how == "cut":
        text = text[: draw.randrange(len(text))]
    file.unlink() if how == "gone" else file.write_text(text)
    return Fault(f"{log.FILE} {how}, line {number + 1} of {len(lines)}", workdir)


def code(workdir: pathlib.Path, draw) -> Fault:
    """Other code, or another config, than the run began with."""
    how = draw.choice(("sign", "comment", "file", "flag", "both", "gone", "gone and flag"))
    config, rate = workdir / "config.json", 0.0123
    if how in ("sign", "comment"):
        copy = workdir.parent / "code"
        for name in ("architectures", "configs", "train"):
            ignored = shutil.ignore_patterns("__pycache__", "papers")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        file, old, new = copy / "train/step.py", "return grads, sums", "return grads, sums"
        if how == "sign":
            new = "return jax.tree.map(jnp.negative, grads), sums"
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new) + "# changed\n" * (how == "comment"))
        environment = os.environ | {"PYTHONPATH": str(copy)}
        return Fault(
            f"other code: {how}",
            workdir,
            says="the code was",
            options={"cwd": copy, "env": environment},
        )
    if how in ("file", "both"):
        document = json.loads(config.read_text())
        document["optim"]["lr"] = rate
        config.write_text(json.dumps(document))
    elif how.startswith("gone"):
        config.unlink()
    flag = (f"--config.optim.lr={rate}",) if how in ("flag", "both", "gone and flag") else ()
    return Fault(f"other config: {how}", workdir, flag, refused=how != "gone")


KINDS = {"links": links, "paths": paths, "logs": logs, "code": code}


def interrupted(whole: pathlib.Path, workdir: pathlib.Path) -> pathlib.Path:
    """A copy of a run as it was before its last checkpoint."""
    shutil.copytree(whole, workdir)
    (workdir / "result.json").unlink()
    newest = max((workdir / "checkpoints").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(newest)
    return workdir


def judge(fault: Fault, code: int, out: str, before: dict, arrays: dict, records: list) -> str:
    """The outcome: "same", "said" or "refused", or what is wrong.

    before: the contents of the checkpoints before the run resumed.
    """
    if not fault.harmless():
        return "what is none of the run's was changed"
    if "Traceback" in out:
        return "a traceback"
    if code in REFUSED:
        stay = before.items() <= contents(fault.workdir / "checkpoints").items()
        return "refused" if stay else "refused, but checkpoints went"
    if code != 0 or fault.refused:
        return f"ended with {code}"
    if fault.says:
        return "said" if fault.says in out else "said nothing"
    whole = same(arrays_of(fault.workdir)[1], arrays) and records_of(fault.workdir) == records
    return "same" if whole else "other arrays or records"


def torture(
    kind: str, name: str, count: int, whole: pathlib.Path, folder: pathlib.Path, draw
) -> bool:
    """Sets up `count` faults of a kind; prints the outcomes. Returns whether none went wrong."""
    arrays, records = arrays_of(whole)[1], records_of(whole)
    came, begun = collections.Counter(), time.time()
    for number in range(count):
        fault = KINDS[kind](interrupted(whole, folder / str(number) / "run"), draw)
        before = contents(fault.workdir / "checkpoints")
        arguments = (*RUNS[name], *fault.arguments, f"--workdir={fault.workdir}")
        process = start(*arguments, **fault.options)
        try:
            out, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        try:
            outcome = judge(fault, process.returncode, out, before, arrays, records)
        except (Ending, ValueError, TypeError, OSError) as error:
            outcome = f"what it left cannot be read ({error})"
        came[outcome if outcome in ("same", "said", "refused") else "wrong"] += 1
        if outcome not in ("same", "said", "refused"):
            print(f"{name}: {fault.how!r}: {outcome}:\n{out}", flush=True)
        shutil.rmtree(folder / str(number), ignore_errors=True)
    return report(kind, name, came, time.time() - begun)


def report(kind: str, name: str, came: collections.Counter, seconds: float, then: str = "") -> bool:
    """Prints the outcomes, and what the refused runs did `then`. Returns whether all is well."""
    changed = f", {came['said']} said what had changed" if came["said"] else ""
    print(
        f"{name}: {kind}: {came.total()} faults: {came['same']} runs ended with the arrays and "
        f"records of the uninterrupted one, {came['refused']} were refused in one line{then}{changed}; "
        f"{came['wrong']} went wrong ({seconds:.0f} s)",
        flush=True,
    )
    return not came["wrong"]
