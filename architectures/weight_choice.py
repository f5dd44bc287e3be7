"""Chooses the arrays of a file: one of several state dicts, or one layer of a larger model.

Prefixes that wrappers add to names are removed. One line reports what was taken.
"""

import sys
from collections.abc import Callable, Iterator, Mapping

from architectures import weight_torch

USUAL = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
TOP = "."  # the name of the file's outermost dictionary
# parts that torch.compile, FSDP and activation checkpointing insert into names
INSIDE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


class Weights(dict):
    """{name: array} of a file.

    layers: {layer's name: its Keras configuration} of a whole model; version: the Keras version
    that wrote the file. Each is empty if the file does not have it.
    """

    def __init__(self, arrays=(), layers: Mapping[str, dict] | None = None, version: str = ""):
        super().__init__(arrays)
        self.layers, self.version = layers or {}, version


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def choose_state(path, tree, name: str | None, say: Callable[[str], None]) -> dict:
    """{name: tensor} of a state dict in `tree`, the contents of a torch.save file.

    name: "state_dict", "a.b" for b in a, TOP for the outermost dictionary; None for the only state
    dict, or the first of USUAL. Values that are not tensors are left out. Raises ValueError, one
    line with the choices, if there is no state dict or the choice is not clear.
    """
    states = dict(_states(tree))
    if not states:
        raise ValueError(f"{path}: holds no state dict: no dictionary from names to tensors")
    choices = ", ".join(states)
    if name is not None and name not in states:
        raise ValueError(f"{path}: has no state {name!r}; choose from {choices}")
    if name is None:
        usual = sorted(
            (USUAL.index(state.rpartition(".")[2]), state.count("."), state)
            for state in states
            if state.rpartition(".")[2] in USUAL
        )
        name = usual[0][2] if usual else next(iter(states)) if len(states) == 1 else None
    if name is None:
        raise ValueError(f"{path}: holds several states; use --state to choose from {choices}")
    others = [state for state in states if state != name]
    if others:
        say(f"{path}: took the state {name}; use --state to choose from: {', '.join(others)}")
    elif name != TOP:
        say(f"{path}: took the state {name}")
    state = states[name]
    tensors = {k: v for k, v in state.items() if weight_torch.is_tensor(v)}
    if len(tensors) < len(state):
        left = [str(key) for key in state if key not in tensors]
        say(f"{path}: ignored what is not a tensor: {_first(left)}")
    return tensors


def _first(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _states(tree, name: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping]]:
    module = weight_torch.module_state(tree)
    tree = tree if module is None else module
    if not isinstance(tree, Mapping) or depth > 3:
        return
    if any(weight_torch.is_tensor(v) and v.ndim and isinstance(k, str) for k, v in tree.items()):
        yield name or TOP, {key: value for key, value in tree.items() if isinstance(key, str)}
    for key, value in tree.items():
        if isinstance(key, str):
            yield from _states(value, f"{name}.{key}" if name else key, depth + 1)


def choose_layer(
    source: str,
    state: Mapping,
    layer: str | None,
    separator: str,
    least: int,
    say: Callable[[str], None],
) -> Weights:
    """The arrays of `layer`, without its name before theirs; None for all arrays.

    INSIDE is removed from all names, and so is a prefix that all of them share.
    separator: "." for PyTorch, "/" for Keras.
    least: a prefix is removed only while every name has at least this many separators.

    Raises ValueError, one line, if no name begins with `layer`.
    """
    names = {name: name for name in state}
    if separator == ".":
        for name in state:
            names[name] = ".".join(part for part in name.split(".") if part not in INSIDE)
    if len(set(names.values())) < len(names):
        raise ValueError(f"{source}: some names differ only by {', '.join(INSIDE)}")
    removed = sorted({part for name in state for part in name.split(".") if part in INSIDE})
    if layer is not None:
        start = layer.rstrip(separator) + separator
        inside = {old: new[len(start) :] for old, new in names.items() if new.startswith(start)}
        if not inside:
            heads = list(dict.fromkeys(new.rpartition(separator)[0] for new in names.values()))
            raise ValueError(f"{source}: no name begins with {start!r}; there are {_first(heads)}")
        names = inside
    configs = getattr(state, "layers", {})
    if layer is not None:  # then the layer itself is ""
        configs = {
            f"{name}/"[len(start) :].rstrip("/"): config
            for name, config in configs.items()
            if f"{name}/".startswith(start)
        }
    while names and all(new.count(separator) >= least for new in names.values()):
        heads = {new.partition(separator)[0] for new in names.values()}
        if len(heads) > 1:
            break
        names = {old: new.partition(separator)[2] for old, new in names.items()}
        removed.append(*heads)
    if removed:
        say(f"{source}: removed from the names: {', '.join(removed)}")
    arrays = {new: state[old] for old, new in names.items()}
    return Weights(arrays, configs, getattr(state, "version", ""))


def held_by(names, wanted: str, separator: str) -> str:
    """Layers in which `wanted` occurs: a hint for the end of a message, or ""."""
    holders = [name[: -len(wanted) - 1] for name in names if name.endswith(separator + wanted)]
    return f"; {', '.join(holders)} has it; use --layer to choose one" if holders else ""
