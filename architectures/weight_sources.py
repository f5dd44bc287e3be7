"""The networks that `convert` reads and writes: SOURCES, from "torchvision/resnet50" to ours."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from flax import linen as nn

from architectures import weight_names
from architectures.weight_names import Layer


class Source(NamedTuple):
    """layers: a generator from weight_names. model, fields: our network.

    classifier: the layer that gives the logits. auxiliary: the prefixes of auxiliary heads' names.
    first: the dense layer that reads a map, and the number of the map's channels.
    """

    layers: Callable[[nn.Module], Iterator[Layer]]
    model: str
    fields: dict
    classifier: str
    auxiliary: str | None = None
    first: tuple[str, int] | None = None


def _sources() -> dict[str, Source]:
    names, sources = weight_names, {}
    padded = dict(pool="padded")
    v1, preactivated = (
        padded | dict(stride_in="3x3"),
        padded | dict(stride_in="3x3", activate="after_pool"),
    )
    keras_v1 = padded | dict(stride_in="1x1", biases="all", bn_epsilon=1.001e-5)
    keras_v2 = dict(
        stride_in="last_unit",
        activate="after_pool",
        biases="outer",
        bn_epsilon=1.001e-5,
        pool="zeros",
    )
    sources["torchvision/alexnet"] = Source(
        names.torchvision_alexnet, "alexnet_2014", dict(other_sizes="pooled"), "classifier.6"
    )
    for number, letter in {11: "A", 13: "B", 16: "D", 19: "E"}.items():
        for suffix, norm in (("", "none"), ("_bn", "synchronised")):
            fields = dict(configuration=letter, batch_norm=norm, other_sizes="pooled")
            sources[f"torchvision/vgg{number}{suffix}"] = Source(
                names.torchvision_vgg, "vgg", fields, "classifier.6"
            )
            fields = fields | dict(other_sizes="dense_from_pooled")
            sources[f"timm/vgg{number}{suffix}"] = Source(names.timm_vgg, "vgg", fields, "head.fc")
        if number > 13:
            fields = dict(configuration=letter, other_sizes="refused")
            sources[f"keras/VGG{number}"] = Source(
                names.keras_vgg, "vgg", fields, "predictions", first=("fc1", 512)
            )
    sources["torchvision/googlenet"] = Source(
        names.torchvision_googlenet, "googlenet_torchvision", {}, "fc", "aux"
    )
    for library in ("torchvision", "timm"):
        counted = dict(pool_padding="counted")
        sources[f"{library}/inception_v3"] = Source(
            names.inception_v3, "inception_v3", counted, "fc", "AuxLogits"
        )
    without = dict(pool_padding="excluded", bn_scale=False, auxiliary=False)
    sources["keras/InceptionV3"] = Source(
        names.keras_inception_v3, "inception_v3", without, "predictions"
    )
    for depth in (18, 34, 50, 101, 152, 200):
        if depth < 200:
            sources[f"torchvision/resnet{depth}"] = Source(
                names.torchvision_resnet, "resnet", v1 | dict(depth=depth), "fc"
            )
        sources[f"timm/resnet{depth}"] = Source(
            names.torchvision_resnet, "resnet", v1 | dict(depth=depth), "fc"
        )
    for depth in (50, 101, 152):
        own = dict(depth=depth)
        sources[f"timm/resnetv2_{depth}"] = Source(
            names.timm_resnetv2, "resnet_v2", preactivated | own, "head.fc"
        )
        sources[f"keras/ResNet{depth}"] = Source(
            names.keras_resnet, "resnet", keras_v1 | own, "predictions"
        )
        sources[f"keras/ResNet{depth}V2"] = Source(
            names.keras_resnetv2, "resnet_v2", keras_v2 | own, "predictions"
        )
    return sources


SOURCES = _sources()
