"""Which tensor of another library each of our parameters is, and conversion between the shapes."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from flax import linen as nn

from architectures.weight_names import Layer
from architectures.weight_sources import SOURCES

TORCH = dict(kernel="weight", scale="weight", bias="bias", mean="running_mean", var="running_var")
KERAS = dict(kernel="kernel", bias="bias")
KERAS_NORM = dict(scale="gamma", bias="beta", mean="moving_mean", var="moving_variance")


class Tensor(NamedTuple):
    """One tensor of theirs: its name and shape, our leaf (collection, ..., name), and the layer."""

    theirs: str
    shape: tuple[int, ...]
    ours: tuple[str, ...]
    layer: Layer


def tensors(source: str, module: nn.Module, shapes: Mapping[tuple, tuple]) -> Iterator[Tensor]:
    """Every tensor of theirs; layers that this network lacks are skipped."""
    of_layer: dict[str, list] = {}
    for path in shapes:
        of_layer.setdefault("/".join(path[1:-1]), []).append(path)
    keras = source.startswith("keras/")
    for layer in SOURCES[source].layers(module):
        paths = of_layer.get(layer.ours, [])
        norm = ("batch_stats", *layer.ours.split("/"), "mean") in paths
        names = TORCH if not keras else KERAS_NORM if norm else KERAS
        for path in sorted(paths, key=lambda path: list(names).index(path[-1])):
            shape = shapes[path] if layer.index is None else shapes[path][1:]
            theirs = f"{layer.theirs}{'/' if keras else '.'}{names[path[-1]]}"
            yield Tensor(theirs, _their_shape(shape, path[-1], layer, keras), path, layer)


def _window(shape, layer: Layer) -> tuple[int, int, int, int]:
    """The shape of a kernel as h, w, I, O."""
    return (
        shape if len(shape) == 4 else (layer.side, layer.side, shape[0] // layer.side**2, shape[1])
    )


def _their_shape(shape, leaf: str, layer: Layer, keras: bool) -> tuple[int, ...]:
    if leaf != "kernel":
        return shape
    h, w, i, o = _window(shape, layer)
    matrix = layer.flat or (len(shape) == 2 and not layer.window)
    if keras:
        return (h * w * i, o) if matrix else (h, w, i, o)
    return (o, i * h * w) if matrix else (o, i, h, w)


def to_ours(array, shape, tensor: Tensor, library: str):
    """An array of `tensor.shape` as a leaf of `shape`."""
    if tensor.ours[-1] == "kernel" and library != "keras":
        h, w, i, o = _window(shape, tensor.layer)
        array = array.reshape(o, i, h, w).transpose(2, 3, 1, 0)
    return np.ascontiguousarray(array.reshape(shape))


def to_theirs(leaf, tensor: Tensor, library: str):
    """A leaf of ours as an array of `tensor.shape`."""
    if tensor.ours[-1] == "kernel" and library != "keras":
        leaf = leaf.reshape(_window(leaf.shape, tensor.layer)).transpose(3, 2, 0, 1)
    return np.ascontiguousarray(leaf.reshape(tensor.shape))


def numbered_from_zero(state: Mapping) -> dict:
    """conv2d_94/kernel, conv2d_95/kernel, ... as conv2d/kernel, conv2d_1/kernel, ...

    Batch norms likewise. Keras continues its counts from one network of a process to the next.
    """

    def split(name):
        layer, _, variable = name.rpartition("/")
        kind, _, number = layer.rpartition("_")
        return (kind, int(number), variable) if number.isdigit() else (layer, 0, variable)

    first: dict[str, int] = {}
    for name in state:
        kind, number, _ = split(name)
        first[kind] = min(number, first.get(kind, number))
    renamed = {}
    for name, value in state.items():
        kind, number, variable = split(name)
        number -= first[kind]
        renamed[f"{kind}_{number}/{variable}" if number else f"{kind}/{variable}"] = value
    return renamed
