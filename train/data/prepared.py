"""Folders that TFDS prepared as array_record, read without TensorFlow and without a network."""

import pathlib

from train.data import files
from train.data.files import DataError
from train.errors import BadInput


def directory(name: str) -> pathlib.Path:
    """The folder of the newest version of a set. Raises BadInput, one line with the command, where there is none."""
    found = files.tfds_version(name)
    if found is None:
        sought = f"{files.tfds_folder() / name}, as array_record"
        raise BadInput(f"{name} is not prepared (looked for {sought}); run python -m scripts.prepare_data {name}")
    return found


def builder(folder: pathlib.Path):
    """TFDS's builder of a folder. Raises FileNotFoundError where it is not whole."""
    import tensorflow_datasets as tfds

    found = tfds.builder_from_directory(str(folder))  # by name some sets' own code would import TensorFlow
    if not found.is_prepared():
        raise FileNotFoundError("TFDS says it is not prepared")
    return found


def damaged(name: str, folder: pathlib.Path, error: Exception) -> DataError:
    """One line for what TFDS and array_record raise, which are types of their own."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return DataError(f"{folder} cannot be read ({reason}); delete it and run python -m scripts.prepare_data {name}")
