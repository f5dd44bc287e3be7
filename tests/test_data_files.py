"""Data files: what is embedded, which source is taken, and that damage is never passed over."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from folders import prepare_tfds

from scripts import prepare_data
from train.data import files
from train.errors import BadInput


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Folders of data and of TFDS with nothing in them."""
    monkeypatch.setenv("CANON_DATA", str(tmp_path / "canon"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path


def small(train=30, test=20, seed=0):
    """Arrays in the form of Fashion-MNIST."""
    rng, arrays = np.random.default_rng(seed), {}
    for split, n in dict(train=train, test=test).items():
        arrays[f"{split}_image"] = rng.integers(0, 256, [n, 28, 28], np.uint8)
        arrays[f"{split}_label"] = (np.arange(n) % 10).astype(np.uint8)
    return arrays


def place(arrays):
    """Writes `arrays` where prepared Fashion-MNIST lies."""
    files.write(files.folder() / "fashion_mnist.npz", arrays)
    return files.folder() / "fashion_mnist.npz"


def refusal(*arguments) -> str:
    """The one line with which load(*arguments) refuses."""
    with pytest.raises(BadInput) as caught:
        files.load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def command(*arguments, **environment):
    run = [sys.executable, "-m", "scripts.prepare_data", *arguments]
    return subprocess.run(run, env=os.environ | environment, capture_output=True, text=True)


def test_embedded_fashion_mnist_has_600_training_and_100_test_images_of_each_class():
    arrays, origin = files.load("fashion_mnist", "embedded")
    assert np.bincount(arrays["train_label"]).tolist() == [600] * 10
    assert np.bincount(arrays["test_label"]).tolist() == [100] * 10
    assert arrays["train_image"].shape == (6000, 28, 28) and arrays["test_image"].shape == (
        1000,
        28,
        28,
    )
    assert {array.dtype.name for array in arrays.values()} == {"uint8"}
    assert (origin.source, origin.examples) == ("embedded", dict(train=6000, test=1000))
    # as train/data/embedded/README.md says
    assert "subset" in origin.note and origin.digest.startswith("711efba46d78")


def test_no_embedded_image_is_drawn_twice():
    arrays, _ = files.load("fashion_mnist", "embedded")
    images = [image.tobytes() for split in files.SPLITS for image in arrays[f"{split}_image"]]
    assert len(set(images)) == len(images)


def test_japanese_vowels_is_whole_with_lengths_7_to_29_and_zeros_only_after_the_end():
    arrays, origin = files.load("japanese_vowels")
    assert (origin.source, origin.note, origin.examples) == (
        "embedded",
        "complete",
        dict(train=270, test=370),
    )
    assert origin.digest.startswith("315e14f13e48")
    assert np.bincount(arrays["train_label"]).tolist() == [30] * 9
    # UCI's description
    assert np.bincount(arrays["test_label"]).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    for split, longest in dict(train=26, test=29).items():
        sequence, length = arrays[f"{split}_sequence"], arrays[f"{split}_length"]
        assert (sequence.dtype, length.dtype) == (np.float32, np.int32)
        assert (length.min(), length.max()) == (7, longest)
        valid = np.arange(29) < length[:, None]
        assert (sequence[~valid] == 0).all() and (sequence[valid] != 0).any(-1).all()


def test_auto_takes_tfds_before_prepared_files_before_the_embedded_set(empty):
    assert files.load("fashion_mnist")[1].source == "embedded"
    prepared = small(seed=1)
    path = place(prepared)
    arrays, origin = files.load("fashion_mnist")
    assert (origin.source, origin.path, origin.examples) == (
        "files",
        str(path),
        dict(train=30, test=20),
    )
    assert all((arrays[key] == prepared[key]).all() for key in prepared)
    directory = prepare_tfds(small(seed=2))
    assert (files.load("fashion_mnist")[1].source, files.load("fashion_mnist")[1].path) == (
        "tfds",
        str(directory),
    )
    assert files.load("fashion_mnist", "embedded")[1].source == "embedded"


def test_a_tfds_folder_gives_the_arrays_of_the_original_files_in_their_order(empty):
    original = small(train=1200)  # more than are decoded at a time
    directory = prepare_tfds(original)
    first, kept = files.load("fashion_mnist", "tfds"), files.load("fashion_mnist", "tfds")
    assert first[1].digest == kept[1].digest == files.digest(original)
    assert len(list(files.folder().iterdir())) == 1
    info = directory / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | dict(description="prepared anew")))
    files.load("fashion_mnist", "tfds")
    # decoded again: what was kept belongs to another folder
    assert len(list(files.folder().iterdir())) == 2


def test_a_tfds_folder_is_not_taken_before_it_is_finished_or_as_tfrecord(empty):
    directory = prepare_tfds(small())
    moved = directory.rename(directory.with_name("incomplete.AB12CD_3.0.1"))
    assert files.load("fashion_mnist")[1].source == "embedded"
    directory = moved.rename(directory)
    info = directory / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    assert files.load("fashion_mnist")[1].source == "embedded"
    assert "array_record" in refusal("fashion_mnist", "tfds")


def test_a_damaged_tfds_folder_is_refused_in_one_line_that_names_it(empty):
    directory = prepare_tfds(small())
    next(directory.glob("*train*")).unlink()
    assert str(directory) in refusal("fashion_mnist")
    (directory / "dataset_info.json").write_text("{")
    assert str(directory) in refusal("fashion_mnist")


@pytest.mark.parametrize("key", ["train_image", "test_label"])
def test_the_digest_changes_when_one_value_changes(key):
    arrays = small()
    before = files.digest(arrays)
    arrays[key].reshape(-1)[7] ^= 1
    assert files.digest(arrays) != before


def test_the_digest_changes_with_names_dtypes_and_shapes_of_the_same_bytes():
    a = np.arange(4, dtype=np.uint8)
    digests = [
        files.digest(d)
        for d in (dict(a=a), dict(b=a), dict(a=a.view(np.int8)), dict(a=a.reshape(2, 2)))
    ]
    assert len(set(digests)) == 4


@pytest.mark.parametrize("compress", [False, True])
def test_no_truncated_file_and_no_flipped_bit_is_loaded_as_other_arrays(empty, compress):
    arrays = small()
    path = place(arrays)
    files.write(path, arrays, compress)
    sound, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for trial in range(80):
        damaged = bytearray(sound)
        # half of them in the headers
        position = int(rng.integers(len(sound) if trial % 2 else 300))
        if trial % 4 == 0:
            damaged = damaged[: position * len(sound) // 300 if trial % 8 else position]
        else:
            damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            # a bit without meaning
            assert files.load("fashion_mnist")[1].digest == files.digest(arrays)
        except files.DataError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 50


WRONG = {
    "a key is missing": lambda a: {key: a[key] for key in a if key != "test_label"},
    "a key is unknown": lambda a: a | dict(extra=a["test_label"]),
    "the images are of another shape": lambda a: a | dict(train_image=a["train_image"][:, :27]),
    "the labels are of another type": lambda a: (
        a | dict(train_label=a["train_label"].astype(np.int32))
    ),
    "a label is missing": lambda a: a | dict(train_label=a["train_label"][1:]),
    "a label is out of range": lambda a: a | dict(train_label=a["train_label"] + np.uint8(1)),
    "there are no examples": lambda a: (
        a | dict(test_image=a["test_image"][:0], test_label=a["test_label"][:0])
    ),
    "an array holds objects": lambda a: a | dict(train_label=np.array([None] * 30)),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_prepared_file_is_refused_where(empty, what):
    path = place(WRONG[what](small()))
    line = refusal("fashion_mnist")
    assert str(path) in line and "python -m scripts.prepare_data fashion_mnist" in line


def test_a_source_that_is_not_there_is_refused_with_where_it_was_sought_and_the_command(empty):
    for source, where, flag in (
        ("files", files.folder(), ""),
        ("tfds", files.tfds_folder(), " --origin=tfds"),
    ):
        line = refusal("fashion_mnist", source)
        assert str(where) in line and line.endswith(
            f"python -m scripts.prepare_data fashion_mnist{flag}"
        )
    assert "choose from auto, embedded" in refusal("japanese_vowels", "tfds")
    assert "choose from auto, tfds, files, embedded" in refusal("fashion_mnist", "web")
    assert "choose from cifar10, cifar100, fashion_mnist, japanese_vowels" in refusal(
        "fashion_mnits"
    )


def test_a_file_that_cannot_be_written_leaves_nothing_behind(empty, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(files.DataError, match="No space left on device"):
        place(small())
    assert list(files.folder().iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [(), ("mnits",), ("fashion_mnist", "--origin=web"), ("fashion_mnist", "--chekc")]
)
def test_bad_usage_of_prepare_data_is_one_line_and_exit_2(arguments):
    done = command(*arguments)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    choices = {
        (): "japanese_vowels",
        ("mnits",): "did you mean 'mnist'?",
        ("fashion_mnist", "--origin=web"): "debian",
    }
    assert choices.get(arguments, "--chekc") in done.stderr


def test_check_exits_2_with_one_line_unless_the_whole_set_is_prepared(empty):
    nothing = command("fashion_mnist", "--check")
    place(small())
    partial = command("fashion_mnist", "--check")
    for done, said in ((nothing, "not prepared"), (partial, "examples")):
        assert (
            done.returncode == 2
            and done.stdout == ""
            and done.stderr.count("\n") == 1
            and said in done.stderr
        )


def test_a_set_of_the_right_size_with_one_pixel_changed_does_not_pass_the_check(empty, monkeypatch):
    arrays = small()
    whole = dataclasses.replace(files.SETS["fashion_mnist"], full=dict(train=30, test=20))
    monkeypatch.setitem(files.SETS, "fashion_mnist", whole)
    monkeypatch.setitem(prepare_data.DIGESTS, "fashion_mnist", files.digest(arrays))
    place(arrays)
    assert "30 train, 20 test" in prepare_data.check("fashion_mnist")
    arrays["test_image"][3, 4, 5] ^= 1
    place(arrays)
    with pytest.raises(BadInput, match="digest"):
        prepare_data.check("fashion_mnist")


def test_preparing_twice_says_that_it_is_there_and_fetches_nothing(empty, monkeypatch, capsys):
    whole = dataclasses.replace(files.SETS["fashion_mnist"], full=dict(train=30, test=20))
    monkeypatch.setitem(files.SETS, "fashion_mnist", whole)
    monkeypatch.setitem(prepare_data.DIGESTS, "fashion_mnist", files.digest(small()))
    fetched = []
    monkeypatch.setitem(prepare_data.DEBIAN, "fashion_mnist", lambda: fetched.append(1) or small())
    for _ in range(2):
        prepare_data.main(["fashion_mnist", "--origin=debian"])
    assert fetched == [1] and capsys.readouterr().out.count("already prepared") == 1


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\2\3 not it")
    with pytest.raises(BadInput, match="sha256"):
        prepare_data.read_idx(tmp_path, "t10k-labels-idx1-ubyte")


def test_the_embedded_set_needs_no_preparing():
    done = command("japanese_vowels")
    assert (done.returncode, done.stderr) == (0, "") and "complete" in done.stdout


def test_reading_imports_neither_tensorflow_nor_unless_a_folder_is_there_tfds(empty):
    script = """
import sys
from train.data import files
print(files.load("fashion_mnist")[1].source, "tensorflow_datasets" in sys.modules, "tensorflow" in sys.modules)
"""
    run = [sys.executable, "-c", script]
    assert subprocess.check_output(run, text=True).split() == ["embedded", "False", "False"]
    prepare_tfds(small())
    assert subprocess.check_output(run, text=True, stderr=subprocess.DEVNULL).split() == [
        "tfds",
        "True",
        "False",
    ]
