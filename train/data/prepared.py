"""Folders that TFDS prepared as array_record, read without TensorFlow and without a network."""

import dataclasses
import functools
import hashlib
import json
import pathlib

import numpy as np

from train.data import files
from train.data.files import DataError
from train.errors import BadInput


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


def contents(found, splits: tuple[str, ...]) -> tuple[dict[str, int], str]:
    """Examples of each split of a builder, and a digest: of the files' names and sizes, as they are
    too large to be read at every start."""
    counts = {split: found.info.splits[split].num_examples for split in splits}
    paths = {split: map(pathlib.Path, found.info.splits[split].filepaths) for split in splits}
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
