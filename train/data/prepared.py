"""Folders that TFDS prepared as array_record, read without TensorFlow and without a network."""

import dataclasses
import functools
import hashlib
import json
import math
import pathlib

import numpy as np

from train.data import files
from train.data.files import DataError
from train.errors import BadInput

MOST = 2**33  # bytes of pixels that may be held in memory


def directory(name: str) -> pathlib.Path:
    """The folder of the newest version of a set.

    Raises BadInput, one line with the command, if there is none.
    """
    found = files.tfds_version(name)
    if found is None:
        sought = f"{files.tfds_folder() / name}, as array_record"
        raise BadInput(
            f"{name} is not prepared (looked for {sought}); run python -m scripts.prepare_data "
            f"{name}"
        )
    return found


def builder(folder: pathlib.Path):
    """TFDS's builder of a folder. Raises FileNotFoundError if the folder is incomplete."""
    import tensorflow_datasets as tfds

    # loading by name would make the code of some sets import TensorFlow
    found = tfds.builder_from_directory(str(folder))
    if not found.is_prepared():
        raise FileNotFoundError("TFDS says it is not prepared")
    return found


def opened(name: str, folder: pathlib.Path):
    """The builder of a folder. Raises DataError, one line, if the folder is incomplete."""
    try:
        return builder(folder)
    except Exception as error:
        raise damaged(name, folder, error) from None


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, opened separately in each process.

    raw: an image feature that stays encoded, if any.
    """

    name: str
    folder: pathlib.Path
    split: str
    raw: str = ""

    @functools.cached_property
    def _opened(self):
        import tensorflow_datasets as tfds

        decoders = {self.raw: tfds.decode.SkipDecoding()} if self.raw else None
        return builder(self.folder).as_data_source(self.split, decoders=decoders)

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __call__(self, index: np.ndarray) -> list[dict]:
        """Raises DataError, one line, if the folder is damaged."""
        try:
            return self._opened.__getitems__([int(i) for i in index])
        except Exception as error:
            raise damaged(self.name, self.folder, error) from None


def splits(name: str, info, test: str = "") -> tuple[str, str]:
    """The splits of a set for training and testing, from its builder's info.

    The second is `test`, or else the split named test, or else "validation", or else the last tenth
    of "train". Raises BadInput if there is no such split.
    """
    there = list(info.splits)
    if "train" not in there:
        raise BadInput(f"{name} has no split 'train', only {', '.join(there)}")
    others = [split for split in there if split != "train"]
    if test and test not in others:
        choices = f"choose from {', '.join(others)}" if others else "leave it out"
        raise BadInput(f"{name} has no split {test!r} for testing; {choices}")
    test = test or next((split for split in ("test", "validation") if split in others), "")
    return ("train", test) if test else ("train[:90%]", "train[90%:]")


def features(name: str, info, **kinds: str) -> list:
    """The features of a set by these names, each of the named TFDS class.

    Raises BadInput if there is no such feature.
    """
    import tensorflow_datasets as tfds

    there = info.features
    for feature, kind in kinds.items():
        if feature not in there or not isinstance(there[feature], getattr(tfds.features, kind)):
            fitting = [f"{key} ({type(there[key]).__name__})" for key in sorted(there)]
            raise BadInput(
                f"{name} has no feature {feature!r} of kind {kind}, only {', '.join(fitting)}"
            )
    return [there[feature] for feature in kinds]


def image_set(name: str, test: str = "") -> files.DataSet:
    """What files.load must know about a TFDS set whose images have one size.

    Raises BadInput if they have several sizes, or are too many.
    """
    folder = directory(name)
    info = opened(name, folder).info
    image, label = features(name, info, image="Image", label="ClassLabel")
    both = splits(name, info, test)
    counts = [info.splits[split].num_examples for split in both]
    shape, size = tuple(image.shape), sum(counts) * math.prod(side or 0 for side in image.shape)
    if None in shape or image.np_dtype != np.uint8:
        raise BadInput(
            f"{name} has images of {shape}, {np.dtype(image.np_dtype)}; images of many sizes "
            "are read by data.name=tfds_photographs"
        )
    if size > MOST:
        raise BadInput(
            f"{name} has {size / 2**30:.0f} GiB of pixels; at most {MOST / 2**30:.0f} GiB "
            "are held in memory; use data.name=tfds_photographs"
        )
    arrays = files.split_arrays(image=("uint8", shape), label=("int32", ()))
    full = dict(zip(files.SPLITS, counts, strict=True))
    names = tuple(label.names)
    return files.DataSet(arrays, len(names), full, tfds_splits=both, names=names)


def contents(found, splits: tuple[str, ...]) -> tuple[dict[str, int], str]:
    """The number of examples in each split of a builder, and a digest.

    The digest is of the files' names and sizes; the files are too large to read at every start.
    """
    counts = {split: found.info.splits[split].num_examples for split in splits}
    whole = {split: split.partition("[")[0] for split in splits}  # train[90%:] -> train
    paths = {
        split: map(pathlib.Path, found.info.splits[whole[split]].filepaths) for split in splits
    }
    sizes = {
        split: [(path.name, path.stat().st_size) for path in of] for split, of in paths.items()
    }
    return counts, hashlib.sha256(json.dumps([counts, sizes]).encode()).hexdigest()


def damaged(name: str, folder: pathlib.Path, error: Exception) -> DataError:
    """One line for any error of TFDS or array_record; these raise types of their own."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return DataError(
        f"{folder} cannot be read ({reason}); delete it and run python -m scripts.prepare_data "
        f"{name}"
    )
