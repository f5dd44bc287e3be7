"""A key's value: assigned with the type of its default, or read from text as that type."""

import contextlib
import re

import numpy as np
from ml_collections import ConfigDict

from train.duration import Duration
from train.errors import BadInput


def plain(value):
    """The value in Python's own types: NumPy's scalars become numbers, lists become tuples.

    Raises TypeError for a value that a key cannot hold.
    """
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | str | None):
        raise TypeError
    return value


def in_plain(config: ConfigDict) -> None:
    """Makes each leaf `plain` where possible; the others are validated as they are."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            in_plain(value)
        elif isinstance(value, np.generic | list | tuple):
            with contextlib.suppress(TypeError), config.ignore_type():
                config[key] = plain(value)


def assign(config: ConfigDict, path: str, value) -> None:
    """Sets an existing key. Raises BadInput where the value does not have its type."""
    *parents, key = path.split(".")
    parent = config[parents[0]] if parents else config
    kind = parent.get_type(key)
    try:
        value = plain(value)
        if kind is object and (isinstance(value, bool) or not isinstance(value, Duration | None)):
            raise TypeError
        parent[key] = value
    except TypeError:
        raise BadInput(
            f"{path}: {value!r} is a {type(value).__name__}, must be {in_words(kind.__name__)}"
        ) from None


def in_words(kind: str) -> str:
    """A type's name as what a value must be: "int" -> "a whole number"."""
    return {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "tuple": "a tuple such as (0, 1)",
        "object": "a duration: steps, or text like '3 epochs'",
    }.get(kind, f"a {kind}")


def _item(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip("'\"")


def read(path: str, text: str, kind: type, optional: bool = False):
    """`text` as a value of type `kind`.

    kind: object is a duration; NoneType is a number where the text is one, else text.
    optional: "none" is None for text and durations too. Raises BadInput with `path`.
    """
    try:
        if text.lower() == "none" and (optional or kind in (int, float, bool, tuple)):
            return None
        if kind is type(None):
            return _item(text)
        # object: a duration; the experiment, which knows the epoch, reads it
        if kind in (object, str):
            return int(text) if kind is object and re.fullmatch("-?[0-9]+", text) else text
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is tuple:
            return tuple(
                _item(item.strip()) for item in text.strip("()[] ").split(",") if item.strip()
            )
        return kind(text)
    except (KeyError, ValueError):
        raise BadInput(f"{path}: {text!r} must be {in_words(kind.__name__)}") from None


def write(value) -> str:
    """The text that `read` turns back into a value."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
