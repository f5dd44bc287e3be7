"""canon COMMAND [FLAGS ...]: every command of this project by one name, from any folder.

canon COMMAND is python -m scripts.COMMAND, and canon train is python -m train, with the same flags
and exit codes. It runs the installed code even if the current folder has its own train.py or
configs folder. canon COMMAND --help shows the flags.
"""

import ast
import importlib.util
import pathlib
import runpy
import sys

from configs.nearest import nearest
from train.errors import BadInput, exit_with

COMMANDS = (
    *("train", "sweep", "report", "list", "describe", "prepare_data", "transduce", "generate"),
    *("weights", "length_figure", "bench", "torture", "hosts_check"),
)


def module(command: str) -> str:
    return "train" if command == "train" else f"scripts.{command}"


def says(command: str) -> str:
    """The first paragraph of a command's docstring; the command is not imported."""
    source = pathlib.Path(importlib.util.find_spec(module(command)).origin).read_text("utf-8")
    return " ".join(ast.get_docstring(ast.parse(source)).split("\n\n")[0].split())


def refuse(arguments: list[str]) -> int:
    """Shows the commands if none of them is given. Raises BadInput for an unknown one."""
    if arguments and arguments[0] not in ("-h", "--help"):
        raise BadInput(f"unknown command {arguments[0]!r}; {nearest(arguments[0], COMMANDS)}")
    width = max(map(len, COMMANDS))
    print(__doc__, *(f"{name:<{width}}  {says(name)}" for name in COMMANDS), sep="\n")
    return 0


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        sys.argv[:2] = [f"canon {sys.argv[1]}"]
        runpy.run_module(module(sys.argv[0].split()[1]), run_name="__main__", alter_sys=True)
    else:
        exit_with(refuse, "canon")


if __name__ == "__main__":
    main()
