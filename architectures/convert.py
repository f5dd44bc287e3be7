"""Weights of torchvision, timm and Keras as ours, and ours as theirs; `SOURCES` lists the names.
Bits are kept both ways (of recurrent layers' biases, sums: see convert_recurrent).

    module, variables = convert.load("torchvision/resnet50", "resnet50.pth")
    state = convert.save("torchvision/resnet50", variables)

The module computes what the other library's does. It takes images [B, H, W, 3], normalised as that
library's weights expect: Keras's VGG and ResNet (v1) ones BGR less a mean; -1 to 1 its other ones,
timm's inception_v3 and resnetv2, and torchvision's googlenet and inception_v3 where
`transform_input` is on; the rest by mean and standard deviation of ImageNet.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from architectures import convert_recurrent, weight_files
from architectures.weight_names import Layer
from architectures.weight_sources import SOURCES, Source

TORCH = dict(kernel="weight", scale="weight", bias="bias", mean="running_mean", var="running_var")
KERAS = dict(kernel="kernel", bias="bias")
KERAS_NORM = dict(scale="gamma", bias="beta", mean="moving_mean", var="moving_variance")


class Tensor(NamedTuple):
    """One tensor of theirs: its name and shape, our leaf (collection, ..., name), and the layer."""

    theirs: str
    shape: tuple[int, ...]
    ours: tuple[str, ...]
    layer: Layer


def load(source: str, state, *, activation: str | None = None) -> tuple[nn.Module, dict]:
    """(module, variables) of the network `source`, one of SOURCES or of convert_recurrent.SOURCES.
    variables: {"params": ..., "batch_stats": ...} in float32.

    state: {name: array}, as the library names them ("layer1.0.conv1.weight"; "conv1_conv/kernel",
    for Keras), or a path that `weight_files.read` reads. The number of outputs and whether there
    are auxiliary heads are read from it.
    torch's num_batches_tracked is passed over, and Keras's InceptionV3 may be numbered from any
    number on.
    activation: of torch.nn/RNN and keras/SimpleRNN, whose weights do not say it: one of
    layers.ACTIVATIONS, None for tanh. Raises ValueError, one line with the first names, unless
    every tensor of the network is there once, in its shape, and
    no other.
    """
    known(source)
    state = dict(state) if isinstance(state, Mapping) else weight_files.read(state)
    if source in convert_recurrent.SOURCES:
        return convert_recurrent.load(source, state, activation)
    if activation is not None:
        raise ValueError(f"activation: {source} has its own")
    state = {
        name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")
    }
    if source == "keras/InceptionV3":
        state = _numbered_from_zero(state)
    module = _module_of(source, {name: np.shape(value) for name, value in state.items()})
    shapes = _shapes(module)
    tensors = list(_tensors(source, module, shapes))
    expected = {tensor.theirs: tensor.shape for tensor in tensors}
    check(source, {name: np.shape(value) for name, value in state.items()}, expected)
    stacks, leaves = {}, {}
    for tensor in tensors:
        index = tensor.layer.index
        shape = shapes[tensor.ours] if index is None else shapes[tensor.ours][1:]
        array = _to_ours(
            np.asarray(state[tensor.theirs], np.float32), shape, tensor, _library(source)
        )
        if index is None:
            leaves[tensor.ours] = array
        else:
            stacks.setdefault(tensor.ours, {})[index] = array
    leaves |= {
        path: np.stack([parts[i] for i in range(len(parts))]) for path, parts in stacks.items()
    }
    return module, unflatten_dict(leaves)


def save(source: str, variables: Mapping) -> dict[str, np.ndarray]:
    """{name: array} as the library of `source` names them, in the order of its layers; `load` gives
    `variables` again.

    Names of torch's batch norms have their num_batches_tracked, 0, beside them. Raises ValueError,
    one line with the first names, unless `variables` has the leaves and shapes of that network.
    """
    known(source)
    if source in convert_recurrent.SOURCES:
        return convert_recurrent.save(source, variables)
    leaves = {path: np.asarray(leaf) for path, leaf in flatten_dict(dict(variables)).items()}
    found = {path: leaf.shape for path, leaf in leaves.items()}
    module = _module_for(source, found)
    shapes = _shapes(module)
    check(
        source,
        {"/".join(path): shape for path, shape in found.items()},
        {"/".join(p): s for p, s in shapes.items()},
    )
    state = {}
    for tensor in _tensors(source, module, shapes):
        index = tensor.layer.index
        leaf = leaves[tensor.ours] if index is None else leaves[tensor.ours][index]
        state[tensor.theirs] = _to_theirs(leaf, tensor, _library(source))
        if tensor.theirs.endswith(".running_var"):
            state[tensor.theirs.replace("running_var", "num_batches_tracked")] = np.zeros(
                [], np.int64
            )
    return state


def check(source: str, found: Mapping[str, tuple], expected: Mapping[str, tuple]) -> None:
    """Raises ValueError, one line, with the first names that are missing, left over or of another
    shape."""
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    shapes = [
        f"{name} is {list(found[name])}, must be {list(expected[name])}"
        for name in expected
        if name in found and tuple(found[name]) != tuple(expected[name])
    ]
    problems = [
        f"{what} {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        for what, names in (("missing:", missing), ("left over:", extra), ("misshapen:", shapes))
        if names
    ]
    if problems:
        raise ValueError(f"{source}: {'; '.join(problems)}")


def _library(source: str) -> str:
    return source.partition("/")[0]


def known(source: str) -> None:
    """Raises ValueError, one line with the choices, unless `source` is one of SOURCES or of
    convert_recurrent.SOURCES."""
    if source not in SOURCES and source not in convert_recurrent.SOURCES:
        raise ValueError(
            f"unknown network {source!r}; have {', '.join((*SOURCES, *convert_recurrent.SOURCES))}"
        )


def _get(source: str) -> Source:
    if source not in SOURCES:
        known(source)
        raise ValueError(f"{source} is a layer and no network; have {', '.join(SOURCES)}")
    return SOURCES[source]


def build(source: str, outputs: int, **fields) -> nn.Module:
    """Our network that computes what `source`, one of SOURCES, does. Raises ValueError, one line,
    for another name."""
    spec = _get(source)
    return architectures.build(spec.model, outputs=outputs, **(spec.fields | fields))


def _module_of(source: str, found: Mapping[str, tuple]) -> nn.Module:
    """The network whose weights have these names and shapes, as far as they say."""
    spec, keras, fields = _get(source), _library(source) == "keras", {}
    name = f"{spec.classifier}/kernel" if keras else f"{spec.classifier}.weight"
    if not found.get(name):
        raise ValueError(
            f"{source}: no {name} among {len(found)} names"
            + (f", as {next(iter(found))}" if found else "")
        )
    if spec.auxiliary:
        fields["auxiliary"] = any(key.startswith(spec.auxiliary) for key in found)
    if spec.first:
        layer, channels = spec.first
        fields |= _image_size(found.get(f"{layer}/kernel", ()), channels)
    return build(source, found[name][-1 if keras else 0], **fields)


def _image_size(shape, channels: int) -> dict:
    side = math.isqrt(shape[0] // channels) if len(shape) == 2 else 0
    return dict(image_size=32 * side) if side and channels * side**2 == shape[0] else {}


def _module_for(source: str, found: Mapping[tuple, tuple]) -> nn.Module:
    """The network whose variables have these paths and shapes, as far as they say."""
    spec, fields = _get(source), {}
    path = next(
        layer.ours for layer in spec.layers(build(source, 1)) if layer.theirs == spec.classifier
    )
    if not found.get(("params", path, "kernel")):
        raise ValueError(f"{source}: no params/{path}/kernel among {len(found)} names")
    if spec.auxiliary:
        fields["auxiliary"] = any(p[1].startswith("auxiliary") for p in found if len(p) > 1)
    if spec.first:
        fields["image_size"] = 32 * (found.get(("params", "fc6", "kernel")) or (7,))[0]
    return build(source, found["params", path, "kernel"][-1], **fields)


def _shapes(module: nn.Module) -> dict[tuple, tuple]:
    """{(collection, ..., name): shape} of a network's variables."""
    x, mask = jnp.zeros((1, *module.image)), jnp.ones([1], bool)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), x, mask, train=False))
    return {path: leaf.shape for path, leaf in flatten_dict(variables).items()}


def _tensors(source: str, module: nn.Module, shapes: Mapping[tuple, tuple]) -> Iterator[Tensor]:
    """Every tensor of theirs; layers that this network does not have are skipped."""
    of_layer: dict[str, list] = {}
    for path in shapes:
        of_layer.setdefault("/".join(path[1:-1]), []).append(path)
    keras = _library(source) == "keras"
    for layer in _get(source).layers(module):
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


def _to_ours(array, shape, tensor: Tensor, library: str):
    """array of `tensor.shape` as a leaf of `shape`."""
    if tensor.ours[-1] == "kernel" and library != "keras":
        h, w, i, o = _window(shape, tensor.layer)
        array = array.reshape(o, i, h, w).transpose(2, 3, 1, 0)
    return np.ascontiguousarray(array.reshape(shape))


def _to_theirs(leaf, tensor: Tensor, library: str):
    """A leaf of ours in `tensor.shape`."""
    if tensor.ours[-1] == "kernel" and library != "keras":
        leaf = leaf.reshape(_window(leaf.shape, tensor.layer)).transpose(3, 2, 0, 1)
    return np.ascontiguousarray(leaf.reshape(tensor.shape))


def _numbered_from_zero(state: Mapping) -> dict:
    """conv2d_94/kernel, conv2d_95/kernel, ... as conv2d/kernel, conv2d_1/kernel, ..., and batch
    norms likewise: Keras goes on counting from one network of a process to the next."""

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
