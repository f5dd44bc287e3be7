"""Paths that a person names by a flag or an environment variable.

Each function turns the text into a path, local or in a bucket, that has been tried.
"""

import os
import pathlib

from etils import epath

from train import buckets
from train.errors import BadInput, NotRead, reason

INSTALL = {  # the schemes that etils knows -> what installs the package that each of them needs
    "gs": "pip install -e '.[gcs]' -c constraints.txt",
    "s3": "pip install s3fs",
    "az": "pip install adlfs",
    "hf": "pip install huggingface_hub",
}
PATTERN = "[*?\\"  # Orbax reads a folder's name as a pattern, TensorStore reads \ as /
WITHIN = 250  # bytes: no file name in a run, from the workdir on, is longer


def path_of(text: str, flag: str = "--workdir") -> epath.Path:
    """An absolute path. A bucket is asked whether it has it, but need not have it.

    Raises BadInput where the bucket cannot be asked.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return epath.Path(file_of(text, flag))
    if scheme not in INSTALL:
        known = ", ".join(f"{name}://" for name in INSTALL)
        raise BadInput(
            f"{flag}: {text}: unknown {scheme + separator!r}; choose from {known} and local paths"
        )
    if not rest.strip("/"):
        raise BadInput(f"{flag}: {text}: names no bucket, as in {scheme}://my-canon/run")
    path = epath.Path(text)
    if scheme == "gs":
        buckets.prepare()
    try:
        path.exists()
    except ImportError as error:
        raise BadInput(f"{flag}: {text}: {error}; {INSTALL[scheme]}") from None
    except Exception as error:  # each of those packages has its own
        if buckets.unavailable(error):
            raise NotRead(
                f"{flag}: {text}: not reached ({reason(error)}); the same command tries again"
            ) from None
        raise BadInput(
            f"{flag}: {text}: not reached ({reason(error)}); is its name right, and are you "
            "logged in?"
        ) from None
    return path


def run_of(text: str, flag: str = "--workdir") -> epath.Path:
    """The path of a run's folder, or of a folder of runs.

    Raises BadInput also where no checkpoint could be saved there.
    """
    path = path_of(text, flag)
    wrong = [character for character in PATTERN if character in str(path)]
    if wrong:
        raise BadInput(
            f"{flag}: {path}: checkpoints cannot be saved below a folder with {' '.join(wrong)} "
            "in its name; use another one"
        )
    if "://" not in text:
        _try(f"{path}/{'x' * WITHIN}", f"{flag}: {path}")
    return path


def runs_of(text: str) -> list[str]:
    """'a,b' -> ['a', 'b']; a comma in the name of an existing folder divides nothing."""
    parts, runs = text.split(","), []
    while parts:
        count = len(parts)
        while count > 1 and not os.path.isdir(os.path.expanduser(",".join(parts[:count]))):
            count -= 1
        runs.append(",".join(parts[:count]))
        parts = parts[count:]
    return runs


def file_of(text: str, flag: str) -> pathlib.Path:
    """The absolute path of a local file or folder, which need not be there. Raises BadInput."""
    if not text.strip():
        raise BadInput(f"{flag}: is empty, as a variable of the shell that is not set; name a path")
    if "://" in text:
        raise BadInput(f"{flag}: {text}: is in a bucket; copy it to a local disk, and name that")
    path = os.path.expanduser(text)  # ~ and ~user; the name of an unknown user stays
    if path == text and pathlib.PurePath(text).parts[:1] == ("~",):
        raise BadInput(f"{flag}: {text}: this user has no home folder; set HOME, or name it whole")
    try:
        path = pathlib.Path(path).absolute()
    except FileNotFoundError:  # the system's answer when the working folder is gone
        raise BadInput(f"{flag}: {text}: the working folder is gone; cd to another one") from None
    try:
        known = os.fsencode(path).decode() == str(path)
    except UnicodeError:
        known = False
    if not known:  # TensorStore, JSON and a terminal need UTF-8
        shown = os.fsencode(text).decode(errors="backslashreplace")
        raise BadInput(f"{flag}: {shown}: the path is not UTF-8; rename it")
    _try(path, f"{flag}: {text}")
    return path


def _try(path: str | pathlib.Path, what: str) -> None:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # too long, a loop of links, no right to look, a NUL
        raise BadInput(f"{what}: {reason(error)}; use another path") from None


def variable(name: str) -> pathlib.Path | None:
    """The local path in an environment variable; None where it is not set or empty.

    Raises BadInput.
    """
    text = os.environ.get(name)
    return file_of(text, name) if text else None


def home() -> pathlib.Path | None:
    """The user's home folder; None where neither HOME nor the system names one."""
    path = os.path.expanduser("~")
    return None if path == "~" else pathlib.Path(path).absolute()


def cache() -> pathlib.Path | None:
    """Canon's folder in the user's cache folder. Raises BadInput."""
    above = variable("XDG_CACHE_HOME") or (home() and home() / ".cache")
    return above and above / "canon"


def folder(name: str, above: pathlib.Path | None, below: str) -> pathlib.Path:
    """The local folder that an environment variable names, else above / below.

    Raises BadInput, also where the user has no home folder, so that `above` is None.
    """
    if named := variable(name):
        return named
    if above is None:
        raise BadInput(f"{name}: is not set, and this user has no home folder; set {name} or HOME")
    return above / below
