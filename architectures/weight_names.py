"""The names that other libraries give our networks' layers, one generator per library and family.

Each generator takes the module and yields the layers in the order in which Keras numbers them in
its files. Some yield layers that only other members of the family have (projections, biases and the
like are not listed one by one); those are skipped.
"""

from collections.abc import Iterator
from typing import NamedTuple

from architectures.googlenet import MODULES
from architectures.vgg import CONFIGURATIONS


class Layer(NamedTuple):
    """One layer under both names.

    theirs: their name for it.
    ours: its path in our parameters. index: its position on axis 0 there, if it is in a stack.
    flat: theirs is a matrix where ours is a convolution, or is a matrix that reads a map of side x
      side positions row by row.
    window: theirs is a 1 x 1 convolution where ours is a matrix.
    """

    theirs: str
    ours: str
    index: int | None = None
    flat: bool = False
    window: bool = False
    side: int = 1


def torchvision_alexnet(module) -> Iterator[Layer]:
    for i, position in enumerate((0, 3, 6, 8, 10), 1):
        yield Layer(f"features.{position}", f"conv{i}")
    yield from _classifier((1, 4, 6))


def _classifier(positions):
    for position, ours in zip(positions, ("fc6", "fc7", "fc8"), strict=True):
        yield Layer(f"classifier.{position}", ours, flat=True)


def _vgg_features(module):
    position = 0
    for i, windows in enumerate(CONFIGURATIONS[module.configuration], 1):
        for j in range(1, len(windows) + 1):
            yield Layer(f"features.{position}", f"conv{i}_{j}")
            yield Layer(f"features.{position + 1}", f"bn{i}_{j}")
            position += 2 if module.batch_norm == "none" else 3  # including a ReLU
        position += 1  # the pool


def torchvision_vgg(module) -> Iterator[Layer]:
    yield from _vgg_features(module)
    yield from _classifier((0, 3, 6))


def timm_vgg(module) -> Iterator[Layer]:
    yield from _vgg_features(module)
    yield Layer("pre_logits.fc1", "fc6")
    yield Layer("pre_logits.fc2", "fc7", window=True)
    yield Layer("head.fc", "fc8")


def keras_vgg(module) -> Iterator[Layer]:
    for i, windows in enumerate(CONFIGURATIONS[module.configuration], 1):
        for j in range(1, len(windows) + 1):
            yield Layer(f"block{i}_conv{j}", f"conv{i}_{j}")
    for theirs, ours in dict(fc1="fc6", fc2="fc7", predictions="fc8").items():
        yield Layer(theirs, ours, flat=True)


def _units(module) -> Iterator[tuple[int, int, str, int | None]]:
    """(stage from 0, unit from 0, our path, place in the stack) of each residual unit."""
    late = module.stride_in == "last_unit"
    for stage, units in enumerate(module.stages()[1]):
        for unit in range(units):
            name, index = "rest", unit - 1
            if unit == 0 or (late and unit == units - 1):
                name, index = "last" if unit else "first", None
            yield stage, unit, f"conv{stage + 2}_x_{name}", index


def torchvision_resnet(module) -> Iterator[Layer]:
    yield from (Layer("conv1", "conv1"), Layer("bn1", "bn1"))
    for stage, unit, ours, index in _units(module):
        theirs = f"layer{stage + 1}.{unit}"
        for i in (1, 2, 3):
            yield Layer(f"{theirs}.conv{i}", f"{ours}/conv{i}", index)
            yield Layer(f"{theirs}.bn{i}", f"{ours}/bn{i}", index)
        yield Layer(f"{theirs}.downsample.0", f"{ours}/projection", index)
        yield Layer(f"{theirs}.downsample.1", f"{ours}/projection_bn", index)
    yield Layer("fc", "fc")


def timm_resnetv2(module) -> Iterator[Layer]:
    yield Layer("stem.conv", "conv1")
    yield Layer("stages.0.blocks.0.norm1", "bn1")
    for stage, unit, ours, index in _units(module):
        theirs = f"stages.{stage}.blocks.{unit}"
        yield Layer(f"{theirs}.downsample.conv", f"{ours}/projection", index)
        for i in (1, 2, 3):
            yield Layer(f"{theirs}.norm{i}", f"{ours}/bn{i}", index)
            yield Layer(f"{theirs}.conv{i}", f"{ours}/conv{i}", index)
    yield Layer("norm", "bn_last")
    yield Layer("head.fc", "fc", window=True)


def keras_resnet(module) -> Iterator[Layer]:
    yield from (Layer("conv1_conv", "conv1"), Layer("conv1_bn", "bn1"))
    for stage, unit, ours, index in _units(module):
        theirs = f"conv{stage + 2}_block{unit + 1}"
        for i, layer in {1: "conv1", 2: "conv2", 0: "projection", 3: "conv3"}.items():
            yield Layer(f"{theirs}_{i}_conv", f"{ours}/{layer}", index)
        for i, name in {1: "bn1", 2: "bn2", 0: "projection_bn", 3: "bn3"}.items():
            yield Layer(f"{theirs}_{i}_bn", f"{ours}/{name}", index)
    yield Layer("predictions", "fc")


def keras_resnetv2(module) -> Iterator[Layer]:
    yield Layer("conv1_conv", "conv1")
    yield Layer("conv2_block1_preact_bn", "bn1")
    for stage, unit, ours, index in _units(module):
        theirs = f"conv{stage + 2}_block{unit + 1}"
        for i, name in enumerate(("preact", "1", "2"), 1):
            yield Layer(f"{theirs}_{name}_bn", f"{ours}/bn{i}", index)
        for i, layer in {1: "conv1", 2: "conv2", 0: "projection", 3: "conv3"}.items():
            yield Layer(f"{theirs}_{i}_conv", f"{ours}/{layer}", index)
    yield Layer("post_bn", "bn_last")
    yield Layer("predictions", "fc")


def _unit(theirs, ours):
    """The convolution and batch norm of a ConvUnit, as torchvision and timm name them."""
    yield Layer(f"{theirs}.conv", f"{ours}/conv")
    yield Layer(f"{theirs}.bn", f"{ours}/bn")


def torchvision_googlenet(module) -> Iterator[Layer]:
    for theirs, ours in dict(conv1="conv1", conv2="conv2_reduce", conv3="conv2").items():
        yield from _unit(theirs, ours)
    branches = {
        **{"branch1": "1x1", "branch2.0": "3x3_reduce", "branch2.1": "3x3"},
        **{"branch3.0": "5x5_reduce", "branch3.1": "5x5", "branch4.1": "pool_proj"},
    }
    for name in MODULES:
        for theirs, ours in branches.items():
            yield from _unit(f"{name.replace('_', '')}.{theirs}", f"{name}/{ours}")
    for i in (1, 2):
        yield from _unit(f"aux{i}.conv", f"auxiliary{i}_conv")
        yield Layer(f"aux{i}.fc1", f"auxiliary{i}_fc", flat=True, side=4)
        yield Layer(f"aux{i}.fc2", f"auxiliary{i}_classifier")
    yield Layer("fc", "classifier")


V3_STEM = dict(
    Conv2d_1a_3x3="conv1a",
    Conv2d_2a_3x3="conv2a",
    Conv2d_2b_3x3="conv2b",
    Conv2d_3b_1x1="conv3b",
    Conv2d_4a_3x3="conv4a",
)
V3_BRANCHES = {  # torchvision's name of each of our branches, and our names of its layers
    "5": {"1x1": ("1",), "5x5": ("1", "2"), "3x3dbl": ("1", "2", "3"), "_pool": ()},
    "6a": {"3x3": ("1",), "3x3dbl": ("1", "2", "3")},
    "6": {"1x1": ("1",), "7x7": ("1", "2", "3"), "7x7dbl": ("1", "2", "3", "4", "5"), "_pool": ()},
    "7a": {"3x3": ("1", "2"), "7x7x3": ("1", "2", "3", "4")},
    "7": {"1x1": ("1",), "3x3": ("1", "2a", "2b"), "3x3dbl": ("1", "2", "3a", "3b"), "_pool": ()},
}
V3_MODULES = (
    {f"5{i}": "5" for i in "bcd"}
    | {"6a": "6a"}
    | {f"6{i}": "6" for i in "bcde"}
    | {"7a": "7a", "7b": "7", "7c": "7"}
)


def inception_v3(module) -> Iterator[Layer]:
    """torchvision's and timm's names."""
    for theirs, ours in V3_STEM.items():
        yield from _unit(theirs, ours)
    for name, kind in V3_MODULES.items():
        for b, (branch, layers) in enumerate(V3_BRANCHES[kind].items(), 1):
            theirs, ours = f"Mixed_{name}.branch{branch}", f"mixed_{name}"
            if not layers:
                yield from _unit(theirs, f"{ours}/pool")
            for layer in layers:
                yield from _unit(
                    theirs if layers == ("1",) else f"{theirs}_{layer}", f"{ours}/branch{b}_{layer}"
                )
    yield from _unit("AuxLogits.conv0", "auxiliary_conv0")
    yield from _unit("AuxLogits.conv1", "auxiliary_conv1")
    yield Layer("AuxLogits.fc", "auxiliary_fc")
    yield Layer("fc", "classifier")


def keras_inception_v3(module) -> Iterator[Layer]:
    """Keras numbers these layers in the order in which they are made.

    Its files order them by their distance to the output, far ones first.
    """
    made = 0
    for group in [
        *([(0, name)] for name in V3_STEM.values()),
        *map(_v3_module, V3_MODULES.items()),
    ]:
        numbered = [(distance, made + i, ours) for i, (distance, ours) in enumerate(group)]
        made += len(group)
        for _, number, ours in sorted(numbered, key=lambda unit: -unit[0]):
            suffix = f"_{number}" if number else ""
            yield Layer(f"conv2d{suffix}", f"{ours}/conv")
            yield Layer(f"batch_normalization{suffix}", f"{ours}/bn")
    yield Layer("predictions", "classifier")


def _v3_module(item) -> list[tuple[int, str]]:
    """(distance to the module's output, our path) of its convolutions, in the order they are made.

    The join after a split counts as one.
    """
    name, kind = item
    units = []
    for b, layers in enumerate(V3_BRANCHES[kind].values(), 1):
        split = bool(layers) and layers[-1].endswith("b")
        for layer in layers:
            after = int(layers[-1][0]) - int(layer[0])
            units.append((3 * after + split, f"mixed_{name}/branch{b}_{layer}"))
        if not layers:
            units.append((0, f"mixed_{name}/pool"))
    return units
