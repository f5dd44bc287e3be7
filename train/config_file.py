"""The file that a run's config came from, for later commands that read the run.

They too need what the file entered in MODELS, DATASETS, ...

A file is a program. A later command runs the file that run.json names only where this user
trained with that very file (path and contents) on this machine, as noted in the user's cache
folder, or where the command line names it (--config=FILE). So a run's folder made by somebody
else runs nothing by itself, whatever path and digest its run.json has. The digest does not cover
what the file imports.
"""

import hashlib
import os
import pathlib

from architectures.cells import CELLS
from configs import base
from train import paths, run_notes
from train.errors import BadInput

TABLES = {**base.TABLES, "cell": CELLS}  # a file may enter something in these
BUILT_IN = {kind: dict(table) for kind, table in TABLES.items()}  # before any file is run


class NotEntered(BadInput):
    """A run's config names something that is not in the tables."""


_entered = set()  # (path, digest) of the files that this process has run


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _names(config: dict) -> dict[str, str]:
    """{kind of TABLES: the entry that a config names}."""
    sections = {kind: config[kind] for kind in base.TABLES if isinstance(config.get(kind), dict)}
    names = {kind: section.get("name") for kind, section in sections.items()}
    names["cell"] = sections.get("model", {}).get("cell")
    return {kind: name for kind, name in names.items() if isinstance(name, str)}


def entries(config: dict) -> dict[str, str]:
    """The entries that a config names and this code does not define: {"data": "mine"}."""
    return {
        kind: name
        for kind, name in _names(config).items()
        if TABLES[kind].get(name) is not BUILT_IN[kind].get(name)
    }


def notes(path: pathlib.Path, argument: str, config: dict) -> dict:
    """The entry "file" of run.json. config: as in config.json."""
    defined = entries(config)
    whole = path.absolute()
    return dict(path=str(whole), argument=argument, digest=digest(whole), defines=defined)


def vouch(noted: dict) -> None:
    """Notes that this user trains with the file, if it defines something."""
    _entered.add((noted["path"], noted["digest"]))
    if noted["defines"] and (folder := paths.cache()):
        try:
            (folder / "files").mkdir(parents=True, exist_ok=True)
            (folder / "files" / _mark(noted["path"], noted["digest"])).touch()
        except OSError:  # later commands then require --config=FILE
            pass


def _mark(path: str, digest: str) -> str:
    return hashlib.sha256(f"{path}\0{digest}".encode()).hexdigest()


def enter(workdir, config: dict, named: str | None, warn, kinds: tuple[str, ...]) -> None:
    """Runs the file of a run, so that the tables have what its config names.

    config: that of config.json. named: FILE[:ARGUMENT] of the command line. warn(text) reports a
    file that differs from the one the run was made with. kinds: the keys of TABLES that are needed.
    Raises NotEntered, one line, where the file is needed and is gone, changed, or not this user's.
    """
    from configs import load

    noted, names = _noted(workdir), _names(config)
    needed = {kind: n for kind, n in noted.get("defines", {}).items() if kind in kinds}
    if named is not None:
        path, argument = load.parts(named)
        _run(str(path.absolute()), digest(path), argument or noted.get("argument", ""), noted, warn)
    elif needed:
        path = pathlib.Path(noted["path"])
        whole = noted["path"], noted["digest"]
        if whole not in _entered and (why := _unfit(path, noted["digest"])):
            raise NotEntered(
                f"{workdir}: {_shown(needed)} came from {path}, {why}; name the file by "
                "--config=FILE"
            )
        _run(*whole, noted["argument"], noted, warn)
    missing = {kind: n for kind, n in names.items() if kind in kinds and n not in TABLES[kind]}
    if missing:
        raise NotEntered(
            f"{workdir}: {_shown(missing)} is not of this code; name the file that defines it by "
            "--config=FILE"
        )


def _run(path: str, digest: str, argument: str, noted: dict, warn) -> None:
    """Runs a file, once per process."""
    from configs import load

    if (path, digest) in _entered:
        return
    _entered.add((path, digest))
    if noted.get("digest", digest) != digest:
        warn(
            f"{path} (digest {digest[:12]}) is not the file that the run was trained with "
            f"({noted['path']}, digest {noted['digest'][:12]})"
        )
    load.enter(pathlib.Path(path), argument)


def _noted(workdir) -> dict:
    """The entry "file" of run.json; {} for a run from before that entry existed."""
    noted = run_notes.read(workdir).get("file", {})
    texts = isinstance(noted, dict) and [noted.get(k, "") for k in ("path", "argument", "digest")]
    defines = isinstance(noted, dict) and noted.get("defines", {})
    if not (texts and all(isinstance(text, str) for text in texts) and isinstance(defines, dict)):
        raise NotEntered(f"{workdir / run_notes.FILE}: its file is not a path and a digest")
    return noted


def _unfit(path: pathlib.Path, expected: str) -> str:
    """Why the file that a run names may not run unasked; "" where it may."""
    if not os.path.isfile(path):
        return "which is gone"
    if digest(path) != expected:
        return "which has changed since"
    cache = paths.cache()
    if not cache or not (cache / "files" / _mark(str(path), expected)).exists():
        return "with which you have not trained on this machine: look at what it does first"
    return ""


def _shown(names: dict[str, str]) -> str:
    keys = {kind: "model.cell" if kind == "cell" else f"{kind}.name" for kind in names}
    return " and ".join(f"{keys[kind]}={name!r}" for kind, name in names.items())
