"""FILE[:ARGUMENT] and overrides -> a checked, locked config, or one line on what is wrong."""

import importlib.util
import inspect
import json
import os
import pathlib
import re
import shlex
import sys
import traceback
from collections.abc import Iterable

from ml_collections import ConfigDict

from configs import base, values
from configs.table import Table
from train import (
    config_file,  # noqa: F401, which looks at the tables before any file is run
    paths,
)
from train.errors import BadInput

ROOT = pathlib.Path(__file__).parent.parent  # the repository, or where it is installed
CONFIG_FILES, TABLE_FILES = "configs/[a-z]*_*.py", "configs/papers/*/[a-z]*.py"  # below it


def installed() -> bool:
    """Whether this is an installed copy, whose files are not the user's, rather than a checkout."""
    return not (ROOT / "pyproject.toml").exists()


def refuse_installed(path: pathlib.Path) -> None:
    """Raises BadInput for a table of an installed copy, as nothing may be written beside it."""
    if installed() and path.is_relative_to(ROOT):
        folder = f"papers/{path.parent.name}"
        raise BadInput(
            f"TABLE.py: {path} belongs to the installed package, where nothing is written; report a "
            f"copy of your own: mkdir -p {folder} && cp {shlex.quote(str(path))} {folder}"
        )


def load(spec: str, overrides: dict[str, object] | None = None) -> tuple[str, ConfigDict]:
    """Runs the file's get_config, applies the overrides and validates.

    get_config gets the text after the colon, if any. A file with a TABLE gives the config of a row:
    FILE:SCALE/ROW.
    Returns the config's name, for the default workdir, and the locked config. Raises BadInput.
    """
    path, argument = parts(spec)
    config = _run(path, lambda module: _get_config(module, argument))
    if not isinstance(config, ConfigDict):
        raise BadInput(
            f"{path}: get_config() returned a {type(config).__name__}, must be a ConfigDict"
        )
    values.in_plain(config)
    base.override(config, overrides or {})
    base.validate(config)
    return path.stem + ("-" + re.sub(r"[^\w.=-]+", "_", argument) if argument else ""), config


def parts(spec: str) -> tuple[pathlib.Path, str]:
    """The file and the argument of FILE[:ARGUMENT]. Raises BadInput if there is no such file."""
    text, _, argument = spec.partition(":")
    return find(text), argument


def enter(path: pathlib.Path, argument: str) -> None:
    """Runs a file for what it enters in MODELS, DATASETS, ..., also in its get_config.

    Raises BadInput.
    """

    def run(module):
        if argument or (hasattr(module, "get_config") and not hasattr(module, "TABLE")):
            _get_config(module, argument)

    _run(path, run)


def load_table(text: str) -> tuple[pathlib.Path, Table]:
    """The file and its TABLE. Raises BadInput where there is none."""
    path = find(text, "TABLE.py", TABLE_FILES).absolute()
    if ":" in str(path):
        raise BadInput(f"TABLE.py: {path}: has a colon, which parts a file from a row; move it")

    def table(module):
        if not isinstance(getattr(module, "TABLE", None), Table):
            raise BadInput("has no TABLE")
        return module.TABLE

    return path, _run(path, table)


def find(text: str, flag: str = "--config", pattern: str = CONFIG_FILES) -> pathlib.Path:
    """The file, also if it is named relative to the top of the repository.

    Raises BadInput with the nearest existing file.
    """
    path = next((p for p in (paths.file_of(text, flag), ROOT / text) if os.path.isfile(p)), None)
    if path is None:
        there = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(pattern))
        near = base.nearest(text, there, "python -m scripts.list shows them")
        raise BadInput(f"{flag}: no file {text!r}; {near}")
    if path.suffix != ".py":
        raise BadInput(f"{flag}: {text} is no Python file")
    return path


def _get_config(module, argument: str):
    if hasattr(module, "TABLE"):
        return module.TABLE.get_config(argument)
    if not hasattr(module, "get_config"):
        raise BadInput("has no get_config()")
    if argument and not inspect.signature(module.get_config).parameters:
        raise BadInput(f"takes no argument, but {argument!r} was given after the colon")
    return module.get_config(argument) if argument else module.get_config()


def _run(path: pathlib.Path, what):
    """what(module) of the file; an error becomes one line with the file and the line number."""
    try:
        module_spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
        # dataclasses look here
        module = sys.modules[module_spec.name] = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
        return what(module)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{path}{_line(error, path)}: {_message(error)}") from error


def _line(error: Exception, path: pathlib.Path) -> str:
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    return f":{lines[-1]}" if lines else ""


def _message(error: Exception) -> str:
    """The error in one line; ml_collections' long lists are cut to the key and the nearest one."""
    text = error
    while isinstance(text, KeyError | AttributeError) and text.args:
        text = text.args[0]  # ml_collections wraps one error in the other
    text = str(text)
    unknown = re.search(r"""(?:[Kk]ey |attribute |^)['"](\w+)['"]""", text)
    if isinstance(error, KeyError | AttributeError) and unknown:
        guess = re.search(r'Did you mean "(\w+)"', text)
        present = {guess[1]} if guess else set(re.findall(r"'(\w+)': ", text))
        return f"unknown key {unknown[1]!r}; {_near(unknown[1], present)}"
    line = " ".join(text.split())
    return line if isinstance(error, BadInput | TypeError) else f"{type(error).__name__}: {line}"


def _near(key: str, present: set[str]) -> str:
    """The nearest of the keys of a section, else of all keys; else those of the section."""
    anywhere = base.flatten(base.get_config())
    for words in (present, anywhere):
        if words and (near := base.nearest(key, words)).startswith("did you mean"):
            return near
    return base.nearest(key, present or anywhere, base.SHOWN)


def arguments(text: str, **defaults):
    """The values in 'T=200,sizes=3,4,deep=true', as a dict with the keys of `defaults`.

    Each is read like a key of the config with that default. A default of None stands for a number
    or text. Raises BadInput.
    """
    given = dict(defaults)
    for item in filter(None, re.split(r",(?=\s*\w+=)", text.strip(", "))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if key not in defaults:
            raise BadInput(f"unknown argument {key!r}; {base.nearest(key, defaults)}")
        if not equals:
            raise BadInput(f"argument {key}: needs a value: {key}=VALUE")
        default = defaults[key]
        given[key] = values.read(f"argument {key}", value, type(default), default is None)
        if given[key] is None and default is not None:
            raise BadInput(f"argument {key}: none is not possible; it is like {default!r}")
    return given


def from_command_line(arguments: list[str], flags: Iterable[str] = ()) -> dict[str, str]:
    """['--config.optim.lr=0.1', '--config.seeds', '0,1'] -> {'optim.lr': '0.1', 'seeds': '0,1'}.

    flags: the command's other flags, for suggestions on an unknown one. If a key is given twice,
    the last one counts. Raises BadInput.
    """
    changes, rest = {}, list(arguments)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--config."):
            of_keys = (f"--config.{key}" for key in base.flatten(base.get_config()))
            near = base.nearest(
                flag.partition("=")[0], [*flags, *of_keys], "--help lists the flags"
            )
            raise BadInput(f"unknown flag {flag!r}; {near}")
        path, equals, value = flag.removeprefix("--config.").partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise BadInput(f"{flag}: needs a value: {flag}=VALUE")
            value = rest.pop(0)
        changes[path] = value
    return changes


def as_flags(config: ConfigDict) -> str:
    """The resolved config as flags of the command line, one key a line, quoted for a shell."""
    flat = sorted(base.flatten(config).items())
    return "\n".join(shlex.quote(f"--config.{key}={values.write(value)}") for key, value in flat)


def as_json(config: ConfigDict) -> str:
    """The resolved config as it is written beside the checkpoints."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"
