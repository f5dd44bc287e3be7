"""Files of named arrays: .npz, .safetensors, .pth (read with `weights_only`), and Keras's .weights.h5. No pickle is executed.

safetensors, h5py and torch are imported for their own files alone.
"""

import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np

ENDINGS = (".npz", ".safetensors", ".pth", ".pt", ".h5")
KERAS_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def read(path) -> dict[str, np.ndarray]:
    """{name: array} of a file, by its ending, one of ENDINGS. Keras's names are "layer/variable".

    Of a .pth or .pt file that holds {"state_dict": {...}} or {"model": {...}}, these are read.
    Raises ValueError, one line, for another ending, a file that cannot be read, and a package that is not installed.
    """
    path = pathlib.Path(path)
    return _with(path, READERS, lambda reader: reader(path))


def write(path, state: Mapping[str, np.ndarray]) -> None:
    """Writes {name: array} to a file, by its ending; to .h5 only layers of Keras, in Keras's order (as `convert.save` does).

    Raises ValueError, one line, for another ending, a path that cannot be written, and a package that is not installed.
    """
    path = pathlib.Path(path)
    _with(path, WRITERS, lambda writer: writer(path, state))


def _with(path: pathlib.Path, table: Mapping, call):
    if path.suffix not in table:
        raise ValueError(f"{path}: unknown ending {path.suffix!r}; have {', '.join(table)}")
    try:
        return call(table[path.suffix])
    except ImportError as error:
        raise ValueError(f"{path}: {error}; pip install -e '.[weights]', or torch for .pth") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, AttributeError, EOFError) as error:  # pickled contents, another kind of file, an empty one
        raise ValueError(f"{path}: no file of plain arrays ({_line(error)})") from None


def _write_npz(path, state):
    np.savez(path, **state)


def _read_safetensors(path):
    import safetensors
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: {_line(error)}") from None


def _write_safetensors(path, state):
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, path)


def _read_torch(path):
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the bytes make of its reader
        raise ValueError(f"{path}: no file of plain tensors ({_line(error)})") from None
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path}: holds no state dict, which is names and tensors")
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in state.items()}


def _write_torch(path, state):
    import torch

    torch.save({name: torch.from_numpy(np.array(value)) for name, value in state.items()}, path)


def _read_keras(path):
    """Keras 3 has layers/conv2d_3/vars/0 and the layer's name in an attribute; Keras 1 and 2, lists of names in attributes."""
    import h5py

    with h5py.File(path, "r") as file:
        if "layer_names" in file.attrs:
            layers = {name: [file[name][v][()] for v in file[name].attrs["weight_names"]] for name in file.attrs["layer_names"]}
        else:
            layers = {}
            for group in file.get("layers", {}).values():
                variables = group.get("vars", {})
                if len(variables):
                    if "name" not in variables.attrs:
                        raise ValueError(f"{path}: {variables.name} has no name; write it with a newer Keras")
                    layers[variables.attrs["name"]] = [variables[str(i)][()] for i in range(len(variables))]
    state = {}
    for layer, arrays in layers.items():
        if not arrays:
            continue
        layer = layer.decode() if isinstance(layer, bytes) else layer
        names = ("kernel", "bias")[: len(arrays)] if arrays[0].ndim > 1 else KERAS_NORM[-len(arrays) :]
        if len(names) != len(arrays):
            raise ValueError(f"{path}: {layer} has {len(arrays)} variables; a convolution has 1 or 2, a batch norm 3 or 4")
        state |= {f"{layer}/{name}": array for name, array in zip(names, arrays, strict=True)}
    return state


def _write_keras(path, state):
    """As Keras 3 reads it: each kind of layer numbered in the order of the model's layers, its variables numbered."""
    import h5py

    layers: dict[str, dict] = {}
    for name, value in state.items():
        layer, _, variable = name.rpartition("/")
        layers.setdefault(layer, {})[variable] = value
    counts: dict[str, int] = {}
    with h5py.File(path, "w") as file:
        for layer, variables in layers.items():
            kind = "dense" if "kernel" in variables and variables["kernel"].ndim == 2 else "conv2d"
            kind = kind if "kernel" in variables else "batch_normalization"
            number = counts[kind] = counts.get(kind, -1) + 1
            group = file.create_group(f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars")
            group.attrs["name"] = layer
            order = ("kernel", "bias") if "kernel" in variables else KERAS_NORM
            for i, variable in enumerate(v for v in order if v in variables):
                group[str(i)] = variables[variable]


READERS = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".h5": _read_keras,
}
WRITERS = {
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
    ".pth": _write_torch,
    ".pt": _write_torch,
    ".h5": _write_keras,
}
