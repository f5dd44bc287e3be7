"""The parameters of a section's entry as keys of a config: their defaults and types."""

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Iterator

from ml_collections import config_dict

from configs import values
from train.errors import BadInput

RULE = (
    "the default of a key is a number, true or false, text, a tuple or list of these, or None with "
    "one of their types beside it, as in int | None"
)


def keys(where: str, constructor, without: tuple[str, ...] = ()) -> dict[str, object]:
    """{key: its default} of a constructor's parameters.

    A default that needs a type beside it is a FieldReference. without: parameters that are not
    keys. Raises BadInput with `where`.key and the rule for a parameter that cannot be a key.
    """
    return {
        key: _field(f"{where}.{key}", default, tuple(k for k in kinds if k is not types.NoneType))
        for key, default, kinds in _parameters(constructor, without)
    }


def optional(constructor, without: tuple[str, ...] = ()) -> set[str]:
    """The parameters that may be None."""
    return {
        key
        for key, default, kinds in _parameters(constructor, without)
        if default is None or types.NoneType in kinds
    }


def _parameters(constructor, without: tuple[str, ...]) -> Iterator[tuple[str, object, tuple]]:
    """The name, the default and the types of each parameter; Any where the types cannot be read."""
    made = inspect.unwrap(getattr(constructor, "func", constructor))
    factories = {}
    if dataclasses.is_dataclass(made):
        factories = {field.name: field.default_factory for field in dataclasses.fields(made)}
    for key, parameter in inspect.signature(constructor).parameters.items():
        several = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)  # *args and **kwargs
        if key in without or parameter.kind in several:
            continue
        default = parameter.default
        if repr(default) == "<factory>":  # dataclasses' placeholder for a default
            default = factories[key]()
        yield key, default, _kinds(made, key, parameter.annotation)


def _kinds(made, key: str, annotation) -> tuple:
    if annotation is inspect.Parameter.empty:
        return (typing.Any,)
    owner = made
    if inspect.isclass(made):  # a field may come from a class of another module
        owner = next((c for c in made.__mro__ if key in inspect.get_annotations(c)), made)
    names = vars(sys.modules.get(owner.__module__, typing))
    try:
        hint = typing.get_type_hints(
            types.SimpleNamespace(__annotations__={key: annotation}), names
        )
    except Exception:  # any error: the text may name something that only a type checker has
        return (typing.Any,)
    union = typing.get_origin(hint[key]) in (typing.Union, types.UnionType)
    members = typing.get_args(hint[key]) if union else (hint[key],)
    return tuple(typing.get_origin(kind) or kind for kind in members)


def _field(path: str, default, kinds: tuple):
    if default is inspect.Parameter.empty:
        raise BadInput(f"{path}: a key needs a default; {RULE}")
    try:
        default = values.plain(default)
    except TypeError:
        raise BadInput(f"{path}: its default is a {type(default).__name__}; {RULE}") from None
    if set(kinds) == {int, str}:  # train.duration.Duration
        return config_dict.FieldReference(default, field_type=object)
    if kinds == (float,) and type(default) is int:
        return float(default)
    if default is not None:
        return default
    kind = tuple if kinds == (list,) else kinds[0] if len(kinds) == 1 else None
    if kind not in (int, float, bool, str, tuple):
        raise BadInput(f"{path}: its default is None, and its type is not said; {RULE}")
    return config_dict.placeholder(kind)
