"""Converts weights of torchvision, timm and Keras to ours and back; `SOURCES` lists the names.

Conversion keeps every bit in both directions, except that biases of recurrent layers are summed
(see convert_recurrent).

    module, variables = convert.load("torchvision/resnet50", "resnet50.pth")
    state = convert.save("torchvision/resnet50", variables)

The module computes what the other library's network does. It takes images [B, H, W, 3], normalised
as that library's weights expect. Keras's VGG and ResNet (v1) expect BGR less a mean. Keras's other
networks, timm's inception_v3 and resnetv2, and torchvision's googlenet and inception_v3 with
`transform_input` on expect -1 to 1. The rest expect ImageNet's mean and standard deviation.
"""

import math
import sys
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from architectures import convert_recurrent, weight_choice, weight_files, weight_tensors
from architectures.weight_names import Layer
from architectures.weight_sources import SOURCES, Source


def load(
    source: str,
    state,
    *,
    layer: str | None = None,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    reset: str | None = None,
    say: Callable[[str], None] = weight_choice.to_stderr,
) -> tuple[nn.Module, dict]:
    """(module, variables) of the network `source`.

    source: one of SOURCES or of convert_recurrent.SOURCES.
    variables: {"params": ..., "batch_stats": ...} in float32.

    state: {name: array} with the library's names ("layer1.0.conv1.weight"; for Keras
    "conv1_conv/kernel"), or a path that `weight_files.read` reads. Arrays may have any floating
    dtype. The number of outputs, the image channels and whether there are auxiliary heads are
    inferred from it. torch's num_batches_tracked is ignored, and the numbering of Keras's
    InceptionV3 may start anywhere.
    layer: takes only the arrays of this layer of a larger model, such as "encoder.rnn". A prefix
    that all names share, such as "module.", is removed. say: receives a line on what was taken and
    removed.
    activation, recurrent_activation, reset: for recurrent layers, if the file does not state them
    (see convert_recurrent.load).
    Raises ValueError, one line with the first names, unless every tensor of the network is there
    once, in its shape, and no other tensor is.
    """
    known(source)
    if not isinstance(state, Mapping):
        state = weight_files.read(state, say=say)
    recurrent = source in convert_recurrent.SOURCES
    keras = _library(source) == "keras"
    least = 1 if not recurrent else sys.maxsize if keras else 0  # Keras's are matched by their ends
    state = weight_choice.choose_layer(source, state, layer, "/" if keras else ".", least + 1, say)
    options = dict(activation=activation, recurrent_activation=recurrent_activation, reset=reset)
    if recurrent:
        for name in state:
            state[name] = _float32(source, name, state[name])
        return convert_recurrent.load(source, state, **options)
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name}: {source} fixes it; leave it out")
    state = {
        name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")
    }
    if source == "keras/InceptionV3":
        state = weight_tensors.numbered_from_zero(state)
    found = {name: np.shape(value) for name, value in state.items()}
    module = _module_of(source, found)
    shapes = _shapes(module, _channels(source, module, found))
    tensors = list(weight_tensors.tensors(source, module, shapes))
    expected = {tensor.theirs: tensor.shape for tensor in tensors}
    check(source, found, expected)
    stacks, leaves = {}, {}
    for tensor in tensors:
        index = tensor.layer.index
        shape = shapes[tensor.ours] if index is None else shapes[tensor.ours][1:]
        array = _float32(source, tensor.theirs, state[tensor.theirs])
        array = weight_tensors.to_ours(array, shape, tensor, _library(source))
        if index is None:
            leaves[tensor.ours] = array
        else:
            stacks.setdefault(tensor.ours, {})[index] = array
    leaves |= {
        path: np.stack([parts[i] for i in range(len(parts))]) for path, parts in stacks.items()
    }
    return module, unflatten_dict(leaves)


def save(source: str, variables: Mapping) -> dict[str, np.ndarray]:
    """{name: array} with the names of the library of `source`, in the order of its layers.

    `load` turns the result into `variables` again. Each of torch's batch norms also has its
    num_batches_tracked, 0. Raises ValueError, one line with the first names, unless `variables` has
    the leaves and shapes of that network.
    """
    known(source)
    if source in convert_recurrent.SOURCES:
        return convert_recurrent.save(source, variables)
    leaves = {path: np.asarray(leaf) for path, leaf in flatten_dict(dict(variables)).items()}
    found = {path: leaf.shape for path, leaf in leaves.items()}
    module = _module_for(source, found)
    shapes = _shapes(module, _our_channels(source, module, found))
    check(
        source,
        {"/".join(path): shape for path, shape in found.items()},
        {"/".join(p): s for p, s in shapes.items()},
    )
    state = {}
    for tensor in weight_tensors.tensors(source, module, shapes):
        index = tensor.layer.index
        leaf = leaves[tensor.ours] if index is None else leaves[tensor.ours][index]
        state[tensor.theirs] = weight_tensors.to_theirs(leaf, tensor, _library(source))
        if tensor.theirs.endswith(".running_var"):
            state[tensor.theirs.replace("running_var", "num_batches_tracked")] = np.zeros(
                [], np.int64
            )
    return state


def check(source: str, found: Mapping[str, tuple], expected: Mapping[str, tuple]) -> None:
    """Raises ValueError, one line, with the first missing, left-over or misshapen names."""
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


def _float32(source: str, name: str, value) -> np.ndarray:
    """Raises ValueError, one line, for a dtype that is not floating, or for values beyond float32.

    Quantised weights are not floating.
    """
    array = np.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"{source}: {name} is {array.dtype}, weights must be floating; dequantise them first"
        )
    with np.errstate(over="raise"):
        try:
            return array.astype(np.float32, copy=False)
        except FloatingPointError:
            raise ValueError(f"{source}: {name} has values beyond float32") from None


def _library(source: str) -> str:
    return source.partition("/")[0]


def known(source: str) -> None:
    """Raises ValueError, one line with the choices, for an unknown `source`.

    Known are SOURCES and convert_recurrent.SOURCES.
    """
    if source not in SOURCES and source not in convert_recurrent.SOURCES:
        raise ValueError(
            f"unknown network {source!r}; choose from "
            f"{', '.join((*SOURCES, *convert_recurrent.SOURCES))}"
        )


def _get(source: str) -> Source:
    if source not in SOURCES:
        known(source)
        raise ValueError(f"{source} is a layer, not a network; choose from {', '.join(SOURCES)}")
    return SOURCES[source]


def build(source: str, outputs: int, **fields) -> nn.Module:
    """Our network that computes what `source`, one of SOURCES, does.

    Raises ValueError, one line, for another name.
    """
    spec = _get(source)
    return architectures.build(spec.model, outputs=outputs, **(spec.fields | fields))


def _module_of(source: str, found: Mapping[str, tuple]) -> nn.Module:
    """The network whose weights have these names and shapes, as far as these tell."""
    spec, keras, fields = _get(source), _library(source) == "keras", {}
    name = f"{spec.classifier}/kernel" if keras else f"{spec.classifier}.weight"
    if not found.get(name):
        raise ValueError(f"{source}: no {name} among {len(found)} names{_why(spec, name, found)}")
    if spec.auxiliary:
        fields["auxiliary"] = any(key.startswith(spec.auxiliary) for key in found)
    if spec.first:
        layer, channels = spec.first
        fields |= _image_size(found.get(f"{layer}/kernel", ()), channels)
    return build(source, found[name][-1 if keras else 0], **fields)


def _why(spec: Source, name: str, found: Mapping) -> str:
    separator = "/" if "/" in name else "."
    held = weight_choice.held_by(found, name, separator)
    if held:
        return held
    first = _first(spec, architectures.build(spec.model, outputs=1, **spec.fields)).theirs
    if any(key.startswith(first + separator) for key in found):
        others = [key for key in found if key.startswith(spec.classifier + separator)]
        what = f"another classifier, {others[0]}" if others else "no classifier"
        return (
            f": the file has {what} (as include_top=False or num_classes=0 leave it), so the "
            "number of outputs is unknown"
        )
    return f", as {next(iter(found))}" if found else ""


def _image_size(shape, channels: int) -> dict:
    side = math.isqrt(shape[0] // channels) if len(shape) == 2 else 0
    return dict(image_size=32 * side) if side and channels * side**2 == shape[0] else {}


def _module_for(source: str, found: Mapping[tuple, tuple]) -> nn.Module:
    """The network whose variables have these paths and shapes, as far as these tell."""
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


def _first(spec: Source, module: nn.Module) -> Layer:
    """The convolution that sees the image."""
    return next(iter(spec.layers(module)))


def _channels(source: str, module: nn.Module, found: Mapping[str, tuple]) -> int:
    """The number of image channels that these weights are for."""
    name, keras = _first(_get(source), module).theirs, _library(source) == "keras"
    shape = found.get(f"{name}/kernel" if keras else f"{name}.weight", ())
    return (len(shape) == 4 and shape[2 if keras else 1]) or module.image[-1]


def _our_channels(source: str, module: nn.Module, found: Mapping[tuple, tuple]) -> int:
    shape = found.get(("params", *_first(_get(source), module).ours.split("/"), "kernel"), ())
    return (len(shape) == 4 and shape[2]) or module.image[-1]


def _shapes(module: nn.Module, channels: int = 3) -> dict[tuple, tuple]:
    """{(collection, ..., name): shape} of a network's variables for images of `channels`."""
    x, mask = jnp.zeros((1, *module.image[:2], channels)), jnp.ones([1], bool)
    variables = jax.eval_shape(lambda: module.init(jax.random.key(0), x, mask, train=False))
    return {path: leaf.shape for path, leaf in flatten_dict(variables).items()}
