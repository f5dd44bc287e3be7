"""Shows text that somebody chose, such as a row's name, unchanged wherever it stands.

On a terminal, in a page of Markdown, or in a figure.
"""

import re
import urllib.parse

ACTIVE = re.compile(  # what Markdown would not show as it is; most only where it has a meaning
    r"[\\`*|~$]|\](?=[(\[:])|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
)


def plain(text: object) -> str:
    """One line without control characters: these become escapes such as \\x1b."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def shortened(text: object, most: int) -> str:
    """`plain`, cut to at most `most` characters."""
    line = plain(text)
    return line if len(line) <= most else line[: most - 1] + "…"


def markdown(text: object) -> str:
    """Text within a line of a page of Markdown, such as a cell of a table."""
    return ACTIVE.sub(r"\\\g<0>", plain(text))


def code(text: object) -> str:
    """A command or a name as code in a page of Markdown, also in a cell of a table."""
    line = plain(text).replace("|", r"\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def link(path: object) -> str:
    """A relative path as the target of a link in a page of Markdown."""
    return urllib.parse.quote(str(path))


def figure(text: object, most: int = 60) -> str:
    """Text in a figure of matplotlib, cut to at most `most` characters.

    No formulas between $ signs; and a legend also shows text that begins with an underscore, which
    would hide its line.
    """
    line = shortened(text, most).replace("$", r"\$")
    return f"\u200b{line}" if line.startswith("_") else line
