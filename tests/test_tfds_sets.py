"""Any set of TFDS that is prepared: images of one size, photographs, texts with a class, streams."""

import numpy as np
import pytest
from folders import jpeg, photograph, prepare_photographs, prepare_tfds, prepare_tfds_text
from helpers import LENET, batch, build, refused, taken

from train.data import DATASETS
from train.errors import BadInput

SPLITS = dict(train=40, validation=10, test=12)


def digits(**counts):
    """Images whose every pixel says which one of all it is, of 7 classes."""
    arrays, first = {}, 0
    for split, count in counts.items():
        numbers = np.arange(first, first := first + count)
        arrays[f"{split}_image"] = np.broadcast_to(
            numbers[:, None, None].astype(np.uint8), (count, 28, 28)
        )
        arrays[f"{split}_label"] = numbers % 7
    return arrays


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANON_DATA", str(tmp_path_factory.mktemp("canon")))
        patch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
        prepare_tfds(digits(**SPLITS), "mnist", classes=7)
        prepare_tfds(digits(train=50), "eurosat", classes=7)
        prepare_photographs(
            dict(train=[(jpeg(photograph(n)), n % 4) for n in range(20)]), "tf_flowers", "3.0.1"
        )
        rows = [dict(sentence=f"Film {n} is GOOD", label=n % 2) for n in range(30)]
        unlabelled = [dict(sentence="none", label=-1)] * 3
        glue = dict(train=rows, validation=rows[:6], test=unlabelled)
        prepare_tfds_text("glue/sst2", glue)
        prepare_tfds_text("poems", dict(train=[dict(text=f"one {n}\n\ntwo") for n in range(20)]))
        yield


def numbers(source) -> set[int]:
    """Which images of `digits` a source has."""
    return set(source.arrays["image"].reshape(source.examples, -1)[:, 0].tolist())


@pytest.mark.parametrize(
    ("options", "trained", "tested"),
    [
        (dict(set="mnist"), range(40), range(50, 62)),
        (dict(set="mnist", test="validation"), range(40), range(40, 50)),
    ],
)
def test_images_of_a_set_are_trained_on_train_and_tested_on_the_named_split(
    folders, options, trained, tested
):
    data = DATASETS["tfds_images"](**options)
    assert data.outputs == 7 and list(data.evals) == ["test"]
    assert numbers(data.train) == set(trained) and numbers(data.evals["test"]) == set(tested)
    for source in (data.train, data.evals["test"]):
        image, label = source.arrays["image"], source.arrays["label"]
        np.testing.assert_array_equal(image.reshape(len(image), -1)[:, 0] % 7, label)


def test_a_set_with_one_split_is_tested_on_a_tenth_that_it_is_not_trained_on(folders):
    for _ in range(2):  # decoded, then from the file that is kept
        data = DATASETS["tfds_images"](set="eurosat")
        trained, tested = numbers(data.train), numbers(data.evals["test"])
        assert (len(trained), len(tested)) == (45, 5) and trained | tested == set(range(50))


def test_a_config_names_a_set_of_tfds_and_the_network_has_its_classes(folders):
    e = build(LENET, data__name="tfds_images", data__set="mnist", data__pad=2, data__batch_size=8)
    assert e.dataset.outputs == 7 and e.model.outputs == 7
    assert e.dataset.about.startswith("mnist, tfds (TFDS 3.0.1 in ")


def test_photographs_of_a_set_are_streamed_and_a_tenth_of_them_is_tested_on(folders):
    data = DATASETS["tfds_photographs"](set="tf_flowers", crop=16, jitter=(20, 20), eval_side=20)
    assert (data.train.examples, data.evals["test"].examples) == (18, 2)
    found = taken(data.train, rows=(0, 6), batch_size=6)
    assert found["image"].shape[-4:] == (6, 16, 16, 3)
    assert set(found["label"].reshape(-1).tolist()) <= set(range(4))


def test_texts_with_a_class_are_read_by_the_names_of_their_features(folders):
    options = dict(set="glue/sst2", text="sentence", test="validation")
    data = DATASETS["tfds_text"](**options)
    assert (data.outputs, data.train.examples, data.evals["test"].examples) == (2, 30, 6)
    words = data.vocabularies["tokens"]
    one = batch(data.evals["test"], [0])
    tokens = np.asarray(one["input"])[0][np.asarray(one["mask"])[0]]
    assert words.decode(tokens.tolist()).endswith("is good")
    with pytest.raises(BadInput, match="glue/sst2 has the label -1 in test, must be from 0 to 1"):
        DATASETS["tfds_text"](**options | dict(test="test"))


def test_a_stream_is_of_the_lines_of_a_set(folders):
    data = DATASETS["tfds_stream"](set="poems", window=5)
    train, test = data.train.arrays["stream"], data.evals["test"].arrays["stream"]
    # 20 texts of two lines, of two tokens and one, each with its end
    assert len(train) + len(test) == 20 * 5 and len(test) == 2 * 5


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        (
            "images",
            dict(set="mnist", test="val"),
            "mnist has no split 'val' for testing; choos",
        ),
        ("images", dict(set="eurosat", test="test"), "eurosat has no split 'test' for testing"),
        ("images", dict(set="tf_flowers"), "data.name=tfds_photographs"),
        (
            "images",
            dict(set="poems"),
            "poems has no feature 'image' of kind Image, only text (Text)",
        ),
        ("images", dict(set="kmnist"), "run python -m scripts.prepare_data kmnist"),
        ("photographs", dict(set="glue/sst2"), "glue/sst2 has no feature 'image' of kind Image"),
        ("text", dict(set="glue/sst2"), "glue/sst2 has no feature 'text' of kind Text, only "),
        ("text", dict(set="poems"), "poems has no feature 'label' of kind ClassLabel"),
        (
            "stream",
            dict(set="mnist"),
            "mnist has no feature 'text' of kind Text, only image (Image), ",
        ),
    ],
)
def test_a_set_that_does_not_fit_is_refused_in_one_line(folders, name, options, says):
    with pytest.raises(BadInput) as error:
        DATASETS[f"tfds_{name}"](**options)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_name_is_refused_with_how_to_name_a_set_of_tfds():
    line = refused("--config.data.name=mnist")
    assert "choose from adding, " in line and line.endswith(
        "; of TFDS: data.name=tfds_images, tfds_photographs, tfds_text, tfds_stream, with "
        "data.set=mnist"
    )
