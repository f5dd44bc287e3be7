"""scripts/counts.csv, parameters and multiply-adds counted elsewhere, against what our models are
traced to have."""

import functools

import pytest

import architectures
from scripts import describe

ROWS = describe.counts()
HEADS = {  # features that go into each head
    ("alexnet", ""): [4096],
    ("vgg", "configuration=D"): [4096],
    ("googlenet", ""): [1024, 1024, 1024],
    ("bn_inception", ""): [1024],
    ("inception_v3", ""): [2048, 768],
    ("resnet", "depth=18 shortcut=B"): [512],
    ("resnet", "depth=50 shortcut=B"): [2048],
}


@functools.cache
def counted(model, words, outputs, levels=1):
    options = describe.hyperparameters(model, dict(word.split("=") for word in words.split()))
    built = architectures.build(model, outputs=outputs, **options)
    return describe.describe(built, describe.default_shape(built), levels)


def of(row):
    return counted(row["model"], row["hyperparameters"], int(row["outputs"]))


def named(row) -> str:
    return " ".join(
        filter(None, (row["model"], row["hyperparameters"], row["outputs"], row["layer"]))
    )


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row["layer"] and row["source"]], ids=named
)
def test_a_model_has_exactly_the_parameters_and_multiply_adds_counted_elsewhere(row):
    found = of(row)
    assert found.parameters == int(row["parameters"]) and found.training_only == int(
        row["training_only"] or 0
    )
    if row["multiply_adds"] and not row["note"]:
        assert found.multiply_adds == int(row["multiply_adds"])


@pytest.mark.parametrize("row", [row for row in ROWS if row["layer"]], ids=named)
def test_a_layer_has_exactly_the_parameters_and_multiply_adds_counted_elsewhere(row):
    layers = {layer.name: layer for layer in of(row).layers}
    own = [layers[name] for name in row["layer"].split(" + ")]
    assert sum(layer.parameters for layer in own) == int(row["parameters"])
    if row["multiply_adds"] and (row["model"], row["layer"]) != ("lenet5_1998", "C3"):
        assert sum(layer.multiply_adds for layer in own) == int(row["multiply_adds"])


def test_lenet5_differs_from_its_links_by_the_zeros_of_c3_and_the_rbfs_alone():
    row = next(row for row in ROWS if row["model"] == "lenet5_1998" and not row["layer"])
    zeros = 10 * 10 * 25 * (6 * 16 - 60)
    assert of(row).multiply_adds == int(row["multiply_adds"]) + zeros - 840


@pytest.mark.parametrize("outputs", [10, 100])
@pytest.mark.parametrize(("model", "words"), HEADS)
def test_fewer_classes_take_their_rows_of_each_head_and_nothing_else(model, words, outputs):
    gone = 1000 - outputs
    a, b, heads = counted(model, words, 1000), counted(model, words, outputs), HEADS[model, words]
    assert a.parameters - b.parameters == gone * sum(features + 1 for features in heads)
    assert a.multiply_adds - b.multiply_adds == gone * heads[0]


def test_each_model_with_its_hyperparameters_and_outputs_is_counted_once():
    assert len({named(row) for row in ROWS}) == len(ROWS)
    images = {name for name in architectures.MODELS if "image" in architectures.takes(name)}
    assert {row["model"] for row in ROWS} >= images - {"alexnet_cifar"}
