"""Reads Keras's files as {"layer/variable": array}, and writes .weights.h5 as Keras 3 reads it.

Readable are .weights.h5 and whole models in .h5 and .keras. h5py is imported when it is needed.

A layer's variables are numbered in a group: layers/dense/vars/0. A recurrent layer keeps them in
its cell's group, and `Bidirectional` in its two cells' groups: "lstm/recurrent_kernel" is
layers/lstm/cell/vars/1, and "bidirectional/forward/kernel" is
layers/bidirectional/forward_layer/cell/vars/0. A model used as a layer puts its name before its
layers' names. Neither reading nor writing ignores an array silently, except optimizer state.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from architectures import weight_archive
from architectures.keras_layers import layers_of
from architectures.weight_choice import Weights

NORM = ("gamma", "beta", "moving_mean", "moving_variance")
CELL = ("kernel", "recurrent_kernel", "bias")
CELLS = {1: "simple_rnn", 3: "gru", 4: "lstm"}  # by the number of gates per unit
WAYS = ("forward", "backward")
PLACES = {"": "vars", "cell": "cell/vars"} | {way: f"{way}_layer/cell/vars" for way in WAYS}


def read(path) -> Weights:
    """Reads .h5 or .hdf5, weights or a whole model.

    Raises ValueError, one line, for a layer of an unknown kind or a file that points to others.
    """
    return _read(path)


def read_keras(path) -> Weights:
    """Reads .keras, a zip file of a configuration and weights; it is neither unpacked nor run.

    Raises ValueError, one line, as `read` does.
    """
    with zipfile.ZipFile(path) as archive:
        weight_archive.check_size(path, archive)
        missing = {"config.json", "model.weights.h5"} - {*archive.namelist()}
        if missing:
            raise ValueError(f"{path}: has no {min(missing)}, so Keras did not write it")
        weights = _read(path, io.BytesIO(archive.read("model.weights.h5")))
        weights.layers = layers_of(path, archive.read("config.json"))
        return weights


def _read(path, contents=None) -> Weights:
    weights = Weights()
    with weight_archive.hdf5(path, contents) as file:
        whole = file.attrs.get("model_config")
        group = file.get("model_weights", file)
        for name, value in _old(path, group) if _names(group, "layer_names") else _new(path, group):
            if name in weights:
                raise ValueError(f"{path}: has {name} twice")
            weights[name] = value
        weights.version = _text(group.attrs.get("keras_version", ""))
        if whole is not None:
            weights.layers = layers_of(path, whole)
    if not weights:
        raise ValueError(
            f"{path}: has no weights of layers; save it with Keras's model.save_weights"
        )
    return weights


def _old(path, file) -> Iterator[tuple[str, np.ndarray]]:
    """Reads files of Keras 1 and 2, whose attributes list names ("lstm/lstm_cell/kernel:0").

    A model used as a layer has one list, of the names of all its layers' variables.
    """
    for layer in _names(file, "layer_names"):
        names = _names(file[layer], "weight_names")
        holders: dict[str, dict] = {}  # prefix of a variable's name -> variable -> array
        for name in names:
            holder, _, variable = name.split(":")[0].rpartition("/")
            variable = re.sub(r"_\d+$", "", variable)
            holders.setdefault(holder, {})[variable] = file[layer][name][()]
        many = _many(layer, holders)
        for holder, variables in holders.items():
            parts, cell = holder.split("/"), "recurrent_kernel" in variables
            ways = [way for way in WAYS for part in parts if cell and part.startswith(f"{way}_")]
            # the path inside the layer: what follows its name, or all if names have their own start
            inner = parts if many else []
            if layer in parts:
                inner = parts[len(parts) - parts[::-1].index(layer) :]
            if cell:
                inner = [p for p in inner if "cell" not in p and p.partition("_")[0] not in WAYS]
            owner = "/".join([layer, *inner[-1:]])
            if cell or variables.keys() <= {*CELL, *NORM}:
                owner = "/".join([owner, *ways[:1]])
                yield from ((f"{owner}/{name}", array) for name, array in variables.items())
            else:  # Keras 1: "block1_conv1_W"
                yield from _named(path, owner, [*variables.values()])


def _names(group, key: str) -> list[str]:
    """A list in an attribute, or in several numbered attributes if it is long."""
    keys = (
        [key]
        if key in group.attrs
        else sorted((k for k in group.attrs if k.startswith(key)), key=lambda k: int(k[len(key) :]))
    )
    return [_text(name) for key in keys for name in group.attrs[key]]


def _many(layer: str, holders) -> bool:
    """Whether the variables belong to several layers; a Bidirectional's do not."""
    ways = {part for holder in holders for part in holder.split("/") if part.startswith((*WAYS,))}
    return len(holders) > max(1, len(ways))


def _text(name) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _new(path, file, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Reads files of Keras 3, which has the layer's name in an attribute.

    A model used as a layer contains layers itself.
    """
    for group in file.get("layers", {}).values() if depth < 10 else ():
        layer = group["vars"].attrs.get("name") if "vars" in group else None
        layer = f"{prefix}{layer}" if layer else None
        places: dict[str, dict] = {}

        def collect(name, item, places=places):
            if hasattr(item, "shape") and not name.startswith("layers/"):
                place, _, number = name.rpartition("/")
                places.setdefault(place, {})[number] = item[()]

        group.visititems(collect)
        if "layers" in group:
            if layer is None:
                raise ValueError(f"{path}: {group.name} has no name; save it with a newer Keras")
            yield from _new(path, group, f"{layer}/", depth + 1)
        for place, variables in places.items():
            if place.endswith("seed_generator/vars"):  # dropout's: not weights
                continue
            kind = next((kind for kind, known in PLACES.items() if known == place), None)
            if kind is None:
                raise ValueError(
                    f"{path}: {group.name}/{place}: layers of this kind cannot be read"
                )
            if layer is None:
                raise ValueError(
                    f"{path}: {group.name}/vars has no name; save it with a newer Keras"
                )
            arrays = [variables[number] for number in sorted(variables, key=int)]
            yield from (
                _named(path, layer, arrays) if not kind else _of_cell(path, layer, kind, arrays)
            )


def _of_cell(path, layer: str, kind: str, arrays: list) -> Iterable[tuple[str, np.ndarray]]:
    if not 2 <= len(arrays) <= 3:
        raise ValueError(
            f"{path}: the cell of {layer} has {len(arrays)} variables, must have 2 or 3: "
            f"{', '.join(CELL)}"
        )
    prefix = f"{layer}/{kind}" if kind in WAYS else layer
    return [(f"{prefix}/{name}", array) for name, array in zip(CELL, arrays, strict=False)]


def _named(path, layer: str, arrays: list) -> Iterable[tuple[str, np.ndarray]]:
    names = (
        ("kernel", "bias")[: len(arrays)] if arrays and arrays[0].ndim > 1 else NORM[-len(arrays) :]
    )
    if arrays and len(names) != len(arrays):
        raise ValueError(
            f"{path}: {layer} has {len(arrays)} variables; a convolution has 1 or 2, a batch norm "
            "3 or 4"
        )
    return [(f"{layer}/{name}", array) for name, array in zip(names, arrays, strict=False)]


def write(path, state: Mapping[str, np.ndarray]) -> None:
    """Writes a file; each kind of layer is numbered in the model's order, and so are its variables.

    Raises ValueError, one line, and writes nothing, if an array belongs to none of the layers
    above.
    """
    import h5py

    layers: dict[str, dict[str, dict]] = {}  # layer -> place in PLACES -> variable -> array
    for name, value in state.items():
        holder, _, variable = name.rpartition("/")
        cell = f"{holder}/recurrent_kernel".lstrip("/") in state
        layer, _, way = holder.rpartition("/")
        layer, place = (layer, way) if cell and way in WAYS else (holder, "cell" if cell else "")
        layers.setdefault(layer, {}).setdefault(place, {})[variable] = value
    counts: dict[str, int] = {}
    arrays, names = {}, {}
    for layer, places in layers.items():
        kind = "bidirectional" if places.keys() & {*WAYS} else _kind(next(iter(places.values())))
        number = counts[kind] = counts.get(kind, -1) + 1
        group = f"layers/{kind}_{number}" if number else f"layers/{kind}"
        names[f"{group}/vars"] = layer or kind
        for place, variables in places.items():
            order = CELL if place else NORM if kind == "batch_normalization" else ("kernel", "bias")
            left = next((variable for variable in variables if variable not in order), None)
            if left or (order is not NORM and "kernel" not in variables):
                what = f"{layer}/{left or next(iter(variables))}".lstrip("/")
                raise ValueError(
                    f"{path}: {what} has no place in Keras's file; use .npz, .safetensors or .pth"
                )
            for i, variable in enumerate(variable for variable in order if variable in variables):
                arrays[f"{group}/{PLACES[place]}/{i}"] = variables[variable]
    if len(arrays) != len(state):
        raise ValueError(
            f"{path}: only {len(arrays)} of {len(state)} arrays have a place in Keras's file"
        )
    with h5py.File(path, "w") as file:
        for group, name in names.items():
            file.create_group(group).attrs["name"] = name
        for place, value in arrays.items():
            file[place] = value


def _kind(variables: Mapping[str, np.ndarray]) -> str:
    if "recurrent_kernel" in variables:
        units, columns = np.shape(variables["recurrent_kernel"])[-2:]
        return CELLS.get(columns // units, "rnn")
    if "kernel" in variables:
        return "dense" if np.ndim(variables["kernel"]) == 2 else "conv2d"
    return "batch_normalization"
