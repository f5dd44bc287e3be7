"""Sets of text as lines, from prepared files or embedded in this package.

Reading never uses the network.
"""

import dataclasses
import hashlib
import lzma
import pathlib

from train.data import files, text_lines
from train.data.files import EMBEDDED, DataError, Origin
from train.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Text:
    """lines: the number in the whole set. digest: their sha256, each ended by a newline.

    line: what one line is.
    """

    lines: int
    digest: str
    line: str
    sources: tuple[str, ...] = ("files",)


TEXTS = dict(
    brown=Text(
        57_340,
        "e13f179dfbfbfdc69198b2f5ca672c9b4007232adcc754434d24056b53b67e3a",
        "a sentence: word/tag, separated by spaces",
    ),
    cmudict=Text(
        126_052,
        "ea053cef0c78bf4859138496f2187635f449b6eb496f6c292860d6c6fc541c74",
        "a word, and its pronunciations after tabs",
        sources=("embedded",),
    ),
    kjv=Text(
        31_102,
        "a903c0b82c6378c14395ff02d809e9aadaeca123806a34193bcc8a96fc7505bf",
        "a verse",
        sources=("embedded",),
    ),
    kjv_reina_valera=Text(
        31_084,
        "0d80855856cfc066513bbb735cc48339d62f1093423bcc4829e2bf1e0c9f4c2b",
        "a verse in English and, after a tab, in Spanish",
    ),
)


def load(name: str, source: str = "auto") -> tuple[list[str], Origin]:
    """The lines of a set in TEXTS and where they came from.

    Raises BadInput, one line, if the source does not exist.
    """
    text = TEXTS[name]
    if source not in ("auto", *text.sources):
        raise BadInput(
            f"source: {name} has no source {source!r}; choose from auto, {', '.join(text.sources)}"
        )
    (found,) = text.sources
    path = dict(files=files.folder(), embedded=EMBEDDED)[found] / f"{name}.txt.xz"
    if found == "files" and not path.exists():
        raise BadInput(
            f"data.name: {name} is not prepared (looked for {path}); run python -m "
            f"scripts.prepare_data {name}"
        )
    remedy = (
        "restore it from git"
        if found == "embedded"
        else f"delete it and run python -m scripts.prepare_data {name}"
    )
    lines = read(path, name, remedy)
    note = "complete" if found == "embedded" else f"prepared files in {files.folder()}"
    return lines, Origin(found, str(path), note, dict(lines=len(lines)), text.digest)


def read(path: pathlib.Path, name: str, remedy: str) -> list[str]:
    """The lines of a file of the set `name`.

    Raises DataError for a file that is damaged or holds anything else.
    """
    try:
        contents = lzma.decompress(path.read_bytes())
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} is damaged ({type(error).__name__}: {error}); {remedy}") from None
    found = hashlib.sha256(contents).hexdigest()
    if found != TEXTS[name].digest:
        raise DataError(f"{path} does not hold the lines of {name} (sha256 {found[:12]}); {remedy}")
    return text_lines.split(contents.decode())


def write(path: pathlib.Path, lines: list[str]) -> None:
    """Writes a file, all of it or nothing. Raises DataError if that is not possible."""
    contents = "".join(f"{line}\n" for line in lines).encode()
    files.store(path, lzma.compress(contents, preset=9 | lzma.PRESET_EXTREME))
