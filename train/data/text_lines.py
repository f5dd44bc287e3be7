"""Text whose lines are records: how bytes become lines, and how a record becomes a line."""

from train.errors import BadInput

MARK = "\ufeff"  # the byte-order mark that some editors write at the start of a UTF-8 file
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def split(text: str) -> list[str]:
    r"""The lines of a text. Only \n ends a line; a \r before it and a byte-order mark are dropped.

    str.splitlines() would also split at form feeds, U+0085, U+2028 and others, so that two files
    aligned line by line would not stay aligned. The last line needs no \n.
    """
    lines = text.removeprefix(MARK).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def decode(contents: bytes, where: str) -> list[str]:
    """The lines of a file in UTF-8.

    Raises BadInput, beginning with `where`, that names the first line that is not UTF-8.
    """
    try:
        return split(contents.decode())
    except UnicodeDecodeError as error:
        line = contents.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{where}: line {line} is not UTF-8; convert the file first") from None


def record(*columns: str) -> str:
    r"""One line of columns separated by tabs.

    In a column a tab is written \t, a line break \n or \r, a backslash \\.
    """
    return "\t".join(column.translate(ESCAPES) for column in columns)


def require_utf8(text: str, where: str) -> None:
    """Raises BadInput, beginning with `where`, for command-line text that was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{where}: {text!r} is not UTF-8") from None
