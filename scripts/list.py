"""Lists the configs, the tables, and what each section of a config can name.

python -m scripts.list [KIND ...]

KIND is one of configs, tables, models, cells, data, tasks, optimizers, schedules.
"""

import ast
import inspect
import pathlib
import re
import textwrap

import architectures
from architectures import cells
from configs import base, load
from configs.nearest import nearest
from train.errors import BadInput, Parser, exit_with

ENTRIES = dict(
    models=architectures.MODELS,
    cells=cells.CELLS,
    data=base.TABLES["data"],
    tasks=base.TABLES["task"],
    optimizers=base.TABLES["optim"],
    schedules=base.TABLES["schedule"],
)
FILES = dict(configs=load.CONFIG_FILES, tables=load.TABLE_FILES)
WIDTH = 120  # characters of an entry's line


def listed(kind: str) -> dict[str, str]:
    """{name: the first sentence of its docstring}, one line each."""
    if kind in FILES:
        files = sorted(load.ROOT.glob(FILES[kind]))
        return {str(file.relative_to(load.ROOT)): _line(_docstring(file)) for file in files}
    return {name: _line(_doc(entry)) + _bound(entry) for name, entry in ENTRIES[kind].items()}


def _docstring(file: pathlib.Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""


def _doc(entry) -> str:
    """The docstring of an entry; a partial may have its own."""
    return vars(entry).get("__doc__") or inspect.getdoc(getattr(entry, "func", entry)) or ""


def _bound(entry) -> str:
    """The parameters that a partial sets."""
    changes = ", ".join(f"{key}={value}" for key, value in getattr(entry, "keywords", {}).items())
    return f" ({changes})" if changes else ""


def _line(text: str) -> str:
    """The first sentence, on one line."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return textwrap.shorten(re.split(r"(?<=\.) (?=[A-Z])", paragraph)[0], WIDTH, placeholder=" ...")


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.list", __doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="default: all")
    kinds = [*FILES, *ENTRIES]
    chosen = parser.parse_args(arguments).kinds or kinds
    for kind in chosen:
        if kind not in kinds:
            raise BadInput(f"KIND: unknown {kind!r}; {nearest(kind, kinds)}")
    for kind in chosen:
        lines = listed(kind)
        width = max(map(len, lines))
        print(f"{kind}:")
        print(*(f"  {name:<{width}}  {line}" for name, line in lines.items()), sep="\n")
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.list")
