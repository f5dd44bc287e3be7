"""Keras's .weights.h5: {"layer/variable": array} read, and written as Keras 3 reads it. h5py is
imported when it is needed.

A layer's variables are numbered in a group: layers/dense/vars/0. A recurrent layer has them in that
of its cell, and `Bidirectional` in those of two: "lstm/recurrent_kernel" is
layers/lstm/cell/vars/1, and "bidirectional/forward/kernel"
layers/bidirectional/forward_layer/cell/vars/0. No array is passed over in silence, neither way.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

NORM = ("gamma", "beta", "moving_mean", "moving_variance")
CELL = ("kernel", "recurrent_kernel", "bias")
CELLS = {1: "simple_rnn", 3: "gru", 4: "lstm"}  # by the gates of a unit
WAYS = ("forward", "backward")
PLACES = {"": "vars", "cell": "cell/vars"} | {way: f"{way}_layer/cell/vars" for way in WAYS}


def read(path) -> dict[str, np.ndarray]:
    """Raises ValueError, one line, for a layer of a kind that is not known here."""
    import h5py

    state = {}
    with h5py.File(path, "r") as file:
        for name, value in (
            _old(path, file) if "layer_names" in file.attrs else _new(path, file, h5py.Dataset)
        ):
            if name in state:
                raise ValueError(f"{path}: has {name} twice; layers inside of layers are not read")
            state[name] = value
    if not state:
        raise ValueError(
            f"{path}: has no weights of layers; write it with Keras's model.save_weights"
        )
    return state


def _old(path, file) -> Iterator[tuple[str, np.ndarray]]:
    """Of Keras 1 and 2, which have lists of names in attributes, as "lstm/lstm_cell/kernel:0"."""
    for layer in map(_text, file.attrs["layer_names"]):
        names = [_text(name) for name in file[layer].attrs["weight_names"]]
        arrays = [file[layer][name][()] for name in names]
        parts = [name.split(":")[0].split("/") for name in names]
        if any(part[-1] == "recurrent_kernel" for part in parts):
            for (*owners, variable), array in zip(parts, arrays, strict=True):
                ways = [
                    f"{way}/"
                    for way in WAYS
                    if any(owner.startswith(f"{way}_") for owner in owners)
                ]
                yield f"{layer}/{''.join(ways[:1])}{variable}", array
        else:
            yield from _named(path, layer, arrays)


def _text(name) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _new(path, file, dataset: type) -> Iterator[tuple[str, np.ndarray]]:
    """Of Keras 3, which has the layer's name in an attribute."""
    for group in file.get("layers", {}).values():
        places: dict[str, dict] = {}

        def collect(name, item, places=places):
            if isinstance(item, dataset):
                place, _, number = name.rpartition("/")
                places.setdefault(place, {})[number] = item[()]

        group.visititems(collect)
        for place, variables in places.items():
            if place.endswith("seed_generator/vars"):  # of dropout: no weights
                continue
            kind = next((kind for kind, known in PLACES.items() if known == place), None)
            if kind is None:
                raise ValueError(f"{path}: {group.name}/{place}: a layer of this kind is not read")
            layer = group["vars"].attrs.get("name") if "vars" in group else None
            if layer is None:
                raise ValueError(
                    f"{path}: {group.name}/vars has no name; write it with a newer Keras"
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
    """Each kind of layer numbered in the order of the model's layers, its variables numbered.

    Raises ValueError, one line, for an array that is of none of the layers above, and writes
    nothing then.
    """
    import h5py

    layers: dict[str, dict[str, dict]] = {}  # layer -> place, of PLACES -> variable -> array
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
                    f"{path}: {what} has no place in Keras's file; write .npz, .safetensors or .pth"
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
