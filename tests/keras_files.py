"""Keras's files as tests make them, without Keras."""

import json
import zipfile

import numpy as np

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def model_of(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": [*layers]}}


def layer_of(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def write_new(file, arrays):
    """Keras 3's file of {("name", ...): arrays}; several names: models in models."""
    for path, values in arrays.items():
        group = "/".join(f"layers/{name}" for name in path)
        for i in range(len(path)):
            place = "/".join(f"layers/{name}" for name in path[: i + 1])
            file.require_group(f"{place}/vars").attrs["name"] = f"my_{path[i]}"
        cell = "cell/" if len(values) and values[0].shape[1:] == (12,) else ""
        for i, value in enumerate(values):
            file[f"{group}/{cell}vars/{i}"] = value


def write_old(file, names, version="2.2.4"):
    """Keras 2's of {layer: {variable's name: array}}."""
    file.attrs["keras_version"], file.attrs["layer_names"] = version, [*names]
    for layer, arrays in names.items():
        group = file.create_group(layer)
        group.attrs["weight_names"] = [f"{name}:0" for name in arrays]
        for name, value in arrays.items():
            group[f"{name}:0"] = value


def save_keras(path, config, write, *arguments):
    import h5py

    with h5py.File(path.with_suffix(".h5"), "w") as file:
        write(file, *arguments)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(path.with_suffix(".h5"), "model.weights.h5")


def gru(units=4, inputs=3):
    rng = np.random.default_rng(0)
    shapes = [(inputs, 3 * units), (units, 3 * units)]
    return [rng.standard_normal(shape, np.float32) for shape in shapes]
