"""A key's value: of the type of its default, or read from text as one."""

import re

from ml_collections import ConfigDict

from train.duration import Duration
from train.errors import BadInput


def assign(config: ConfigDict, path: str, value) -> None:
    """Sets a key that is there. Raises BadInput where the value is not of its type."""
    *parents, key = path.split(".")
    parent = config[parents[0]] if parents else config
    kind = parent.get_type(key)
    try:
        if kind is object and (isinstance(value, bool) or not isinstance(value, Duration)):
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


def read(path: str, text: str, kind: type):
    """`text` as a value of type `kind`."""
    try:
        # object: a duration, read by the experiment, which knows the epoch
        if kind in (object, str):
            return int(text) if kind is object and re.fullmatch("-?[0-9]+", text) else text
        if text.lower() == "none" and kind in (int, float):
            return None
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind is tuple:
            return tuple(
                _item(item.strip()) for item in text.strip("()[] ").split(",") if item.strip()
            )
        return kind(text)
    except (KeyError, ValueError):
        raise BadInput(f"{path}: {text!r} must be {in_words(kind.__name__)}") from None
