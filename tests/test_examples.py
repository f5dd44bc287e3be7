"""Examples of a data set of one's own: what does not fit is one line, before anything is
trained."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import refused

from architectures import MODELS
from train import examples
from train.data import DATASETS, files
from train.data.source import Dataset, Source, Stream
from train.errors import BadInput
from train.tasks import TASKS

LABEL = np.arange(8, dtype=np.int32) % 4
VECTORS = np.zeros([8, 5, 2], np.float32)
MASK = np.ones([8, 5], bool)


def source_of(**parts) -> Source:
    """Of arrays [N, ...] that are the parts of a batch."""
    arrays = {key: np.asarray(array) for key, array in parts.items()}

    def make(arrays, index, keys):
        return {key: arrays[key][index] for key in arrays}

    return Source(len(arrays["target"]), arrays, make)


@pytest.fixture(autouse=True)
def own_is_a_data_set(monkeypatch):
    monkeypatch.setitem(DATASETS, "own", own)


def own(inputs="sequence", targets="class", outputs=4, symbols=None, test=None, **parts) -> Dataset:
    train = source_of(**parts)
    evals = {"test": source_of(**parts | (test or {}))}
    return Dataset(inputs, targets, outputs, train, evals, "my own", {}, symbols=symbols)


def says(check, dataset) -> str:
    with pytest.raises(BadInput) as error:
        check("own", dataset)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix("data.name: 'own', ")


SEQUENCE = dict(input=VECTORS, mask=MASK)
REALS = dict(inputs="sequence", targets="reals", outputs=3, **SEQUENCE)
WRONG = {  # what a set gives -> what the line says
    "one-hot labels": (
        dict(**SEQUENCE, target=np.eye(4)[LABEL]),
        "must be int [B]; of one-hot rows give target.argmax(-1)",
    ),
    "a column of labels": (dict(**SEQUENCE, target=LABEL[:, None]), "give target[..., 0]"),
    "float labels": (dict(**SEQUENCE, target=LABEL / 1), "give target.astype(np.int32)"),
    "flat real targets": (
        dict(targets="real", outputs=1, **SEQUENCE, target=LABEL / 1),
        "must be float or int [B, O=1]; give target[..., None]",
    ),
    "real targets of another number": (
        dict(targets="real", outputs=2, **SEQUENCE, target=VECTORS[:, 0, :1]),
        "must be float or int [B, O=2]",
    ),
    "a mask of floats": (
        dict(input=VECTORS, mask=MASK / 1, target=LABEL),
        "mask is float32[2, 5] of two examples, but 'mask' must be bool [B, T=5]",
    ),
    "a mask of other lengths": (dict(input=VECTORS, mask=MASK[:, :4], target=LABEL), "[B, T=5]"),
    "no mask": (dict(input=VECTORS, target=LABEL), "make gives no 'mask'; give bool [B, T]"),
    "no target": (dict(**SEQUENCE, target=LABEL), "make gives no 'target', but input, mask"),
    "an image of two axes": (
        dict(inputs="image", input=VECTORS, target=LABEL),
        "'image' inputs must be float or int [B, H, W, C]",
    ),
    "whole numbers for vectors": (
        dict(input=VECTORS.astype(int), mask=MASK, target=LABEL),
        "'sequence' inputs must be float [B, T=5, I]",
    ),
    "tokens as floats": (
        dict(inputs="tokens", symbols=9, input=VECTORS[..., 0], mask=MASK, target=LABEL),
        "give input.astype(np.int32)",
    ),
    "legal of other outputs": (
        REALS | dict(target=np.zeros([8, 5, 3]), legal=np.ones([8, 5, 2], bool)),
        "'legal' must be bool [B, T=5, O=3]",
    ),
    "a likelihood without time": (
        REALS | dict(target=np.zeros([8, 5, 3]), likelihood=np.ones([8, 3])),
        "'likelihood' must be float [B, T=5, O=3]",
    ),
    "scored of each output": (
        REALS | dict(target=np.zeros([8, 5, 3]), scored=np.ones([8, 5, 3], bool)),
        "'scored' must be bool [B, T=5]",
    ),
    "other targets in the test": (
        dict(**SEQUENCE, target=LABEL, test=dict(target=LABEL[:, None])),
        "test: target is int32[2, 1]",
    ),
    "too few labels": (dict(**SEQUENCE, target=LABEL), "arrays['target'] has 6 rows for 8"),
    "no test example": (
        dict(**SEQUENCE, target=LABEL, test={k: v[:0] for k, v in SEQUENCE.items()}),
        "test: has no example",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_parts_of_an_example_that_do_not_fit_are_refused_in_words(wrong):
    parts, line = WRONG[wrong]
    dataset = own(**parts)
    if wrong == "no test example":
        dataset.evals["test"] = dataclasses.replace(dataset.evals["test"], examples=0)
    if wrong == "too few labels":
        dataset.train.arrays["target"] = LABEL[:6]
    if wrong == "no target":
        make = dataset.train.make

        def without(*arguments):
            return {k: v for k, v in make(*arguments).items() if k != "target"}

        dataset = dataclasses.replace(
            dataset, train=dataclasses.replace(dataset.train, make=without)
        )
    assert line in says(examples.check_shapes, dataset)


def test_every_kind_of_example_that_fits_is_taken():
    steps = dict(input=VECTORS, mask=MASK)
    examples.check_shapes("own", own(**steps, target=LABEL.astype(np.uint8)))
    examples.check_shapes("own", own(targets="real", outputs=2, **steps, target=VECTORS[:, 0]))
    examples.check_shapes("own", own(inputs="mine", targets="theirs", input=LABEL, target=LABEL))


def test_a_network_that_answers_with_other_numbers_than_the_data_want_is_refused(monkeypatch):
    class Three(nn.Module):
        outputs: int
        dtype: jnp.dtype
        axis_name: str | None
        takes = ("image",)

        @nn.compact
        def __call__(self, x, mask, *, train: bool):
            return nn.Dense(3)(x.reshape(len(x), -1))

    monkeypatch.setitem(MODELS, "three", Three)
    line = "model: it answers an example with float32[3], but the data want float[10]"
    assert refused("--config.model.name=three").startswith(line)


@pytest.mark.parametrize(("number", "said"), [(-1, "-1 to 3"), (-100, "-100 to 3"), (4, "0 to 4")])
def test_a_label_outside_the_classes_is_refused_with_the_first_example_that_has_it(number, said):
    label = np.where(np.arange(8) % 3 == 1, number, LABEL)
    line = says(examples.check_numbers, own(**SEQUENCE, target=label))
    assert line == (
        f"train: target has numbers from {said}, but must be from 0 to 3 (3 of 8 examples, the "
        "first is number 1)"
    )


def test_tokens_are_looked_at_where_they_are_valid_alone():
    tokens = np.where(MASK & (np.arange(5) < 3), 2, -1)
    parts = dict(inputs="tokens", symbols=3, input=tokens, target=LABEL)
    examples.check_numbers("own", own(**parts, mask=tokens >= 0))
    line = says(examples.check_numbers, own(**parts, mask=MASK))
    assert line.startswith("train: input has numbers from -1 to 2, but must be from 0 to 2 (8 of 8")


def test_sources_and_targets_of_pairs_are_looked_at_in_each_bucket():
    arrays = dict(source=np.full([6, 3], 4), target=np.full([6, 3], 4))
    arrays["target"][5, 0], arrays["source"][2, 2] = 7, 9

    def maker(width):
        def make(arrays, index, keys):
            pair = {key: arrays[key][index][:, :width] for key in arrays}
            return dict(input=pair, mask=pair["source"] > 0)

        return make

    def dataset(arrays):
        source = Source(6, arrays, (maker(2), None, maker(3)), np.array([0, 0, 0, 0, 2, 2]))
        return Dataset("pair", "text", 7, source, {}, "my own", {}, symbols=8)

    # the third symbol of example 2 is not read in its bucket
    line = says(examples.check_numbers, dataset(arrays))
    assert line.startswith("train: target has numbers from 4 to 7, but must be from 0 to 6 (1 of 6")
    assert line.endswith("the first is number 5)")
    examples.check_numbers("own", dataset({key: array % 5 for key, array in arrays.items()}))


def test_examples_that_are_streamed_are_not_read_ahead():
    def read(index, positions):
        raise AssertionError

    train = dataclasses.replace(source_of(**SEQUENCE, target=LABEL), stream=Stream(read))
    examples.check_numbers("own", Dataset("sequence", "class", 4, train, {}, "my own", {}))


def test_a_class_outside_makes_a_loss_nan_and_is_not_taken_for_the_last():
    logits, mask = jnp.zeros([1, 4]), jnp.array([True])
    for name in ("classify", "classify_rbf"):
        for number in (-1, 4):
            sums = TASKS[name]().sums(logits, dict(target=jnp.array([number]), mask=mask))
            assert np.isnan(sums["loss"])


def test_labels_and_lengths_of_a_file_are_looked_at_on_both_sides():
    for numbers in ([-1, 3], [0, 9]):
        with pytest.raises(files.DataError, match="must be from 0 to 8; mend it"):
            files.check_range("a.npz", "train_label", np.array(numbers), 9, "mend it")


def test_training_looks_at_labels_before_it_begins(monkeypatch, tmp_path):
    image = np.zeros([8, 32, 32, 1], np.float32)
    bad = own(inputs="image", outputs=4, input=image, target=LABEL, test=dict(target=LABEL - 1))
    monkeypatch.setitem(DATASETS, "mine", lambda: bad)
    each = [f"--config.{key}=1" for key in ("eval.every", "log.every", "checkpoint.every")]
    name, workdir = "--config.data.name=mine", tmp_path / "run"
    line = refused(name, f"--workdir={workdir}", "--config.optim.steps=2", *each)
    assert line.startswith("data.name: 'mine', test: target has numbers from -1 to 2,")
    assert not workdir.exists()
