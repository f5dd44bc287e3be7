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

MOST = 2**33  # bytes of pixels that are held in memory


def directory(name: str) -> pathlib.Path:
    """The folder of the newest version of a set. Raises BadInput, one line with the command, where
    there is none."""
    found = files.tfds_version(name)
    if found is None:
        sought = f"{files.tfds_folder() / name}, as array_record"
        raise BadInput(
            f"{name} is not prepared (looked for {sought}); run python -m scripts.prepare_data "
            f"{name}"
        )
    return found


def builder(folder: pathlib.Path):
    """TFDS's builder of a folder. Raises FileNotFoundError where it is not whole."""
    import tensorflow_datasets as tfds

    # by name some sets' own code would import TensorFlow
    found = tfds.builder_from_directory(str(folder))
    if not found.is_prepared():
        raise FileNotFoundError("TFDS says it is not prepared")
    return found


def opened(name: str, folder: pathlib.Path):
    """The builder of a folder. Raises DataError, one line, where it is not whole."""
    try:
        return builder(folder)
    except Exception as error:
        raise damaged(name, folder, error) from None


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, opened anew in each process.  raw: an image feature that stays as
    encoded, if any."""

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
        """Raises DataError, one line, where the folder is damaged."""
        try:
            return self._opened.__getitems__([int(i) for i in index])
        except Exception as error:
            raise damaged(self.name, self.folder, error) from None


def splits(name: str, info, test: str = "") -> tuple[str, str]:
    """The splits of a set, by its builder's info, to be trained and tested on; `test`, or else the split of that name,
    or else "validation", or else the last tenth of "train". Raises BadInput where it has no such."""
    there = list(info.splits)
    if "train" not in there:
        raise BadInput(f"{name} has no split 'train', but {', '.join(there)}")
    others = [split for split in there if split != "train"]
    if test and test not in others:
        choices = f"choose from {', '.join(others)}" if others else "leave it out"
        raise BadInput(f"{name} has no split {test!r} to be tested on; {choices}")
    test = test or next((split for split in ("test", "validation") if split in others), "")
    return ("train", test) if test else ("train[:90%]", "train[90%:]")


def features(name: str, info, **kinds: str) -> list:
    """The features of a set by these names, each of the class of TFDS that is named. Raises
    BadInput where it has no such."""
    import tensorflow_datasets as tfds

    there = info.features
    for feature, kind in kinds.items():
        if feature not in there or not isinstance(there[feature], getattr(tfds.features, kind)):
            fitting = [f"{key} ({type(there[key]).__name__})" for key in sorted(there)]
            raise BadInput(
                f"{name} has no feature {feature!r} of kind {kind}, but {', '.join(fitting)}"
            )
    return [there[feature] for feature in kinds]


def image_set(name: str, test: str = "") -> files.DataSet:
    """What files.load must know of a set of TFDS whose images are of one size. Raises BadInput where
    they are not, or are too many."""
    folder = directory(name)
    info = opened(name, folder).info
    image, label = features(name, info, image="Image", label="ClassLabel")
    both = splits(name, info, test)
    counts = [info.splits[split].num_examples for split in both]
    shape, size = tuple(image.shape), sum(counts) * math.prod(side or 0 for side in image.shape)
    if None in shape or image.np_dtype != np.uint8:
        raise BadInput(
            f"{name} has images of {shape}, {np.dtype(image.np_dtype)}; of many sizes "
            "they are read by data.name=tfds_photographs"
        )
    if size > MOST:
        raise BadInput(
            f"{name} comes to {size / 2**30:.0f} GiB of pixels, and more than "
            f"{MOST / 2**30:.0f} are not held in memory; use data.name=tfds_photographs"
        )
    arrays = files.split_arrays(image=("uint8", shape), label=("int32", ()))
    full = dict(zip(files.SPLITS, counts, strict=True))
    names = tuple(label.names)
    return files.DataSet(arrays, len(names), full, tfds_splits=both, names=names)


def contents(found, splits: tuple[str, ...]) -> tuple[dict[str, int], str]:
    """Examples of each split of a builder, and a digest: of the files' names and sizes, as they are
    too large to be read at every start."""
    counts = {split: found.info.splits[split].num_examples for split in splits}
    whole = {split: split.partition("[")[0] for split in splits}  # of train[90%:] train
    paths = {
        split: map(pathlib.Path, found.info.splits[whole[split]].filepaths) for split in splits
    }
    sizes = {
        split: [(path.name, path.stat().st_size) for path in of] for split, of in paths.items()
    }
    return counts, hashlib.sha256(json.dumps([counts, sizes]).encode()).hexdigest()


def damaged(name: str, folder: pathlib.Path, error: Exception) -> DataError:
    """One line for what TFDS and array_record raise, which are types of their own."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return DataError(
        f"{folder} cannot be read ({reason}); delete it and run python -m scripts.prepare_data "
        f"{name}"
    )
