"""Folders of TFDS as array_record, prepared by TFDS itself or converted from its TFRecord files.

The conversion needs no TensorFlow. Used by scripts.prepare_data.
"""

import json
import os
import pathlib
import struct
import sys

import numpy as np

from configs.nearest import nearest
from train import documents
from train.data import crops, files, prepared
from train.data.files import DataError
from train.errors import BadInput, reason
from train.log import write_whole

SAMPLE = 100  # records per split that a check reads


def known(name: str, ours: list[str]) -> None:
    """Raises BadInput, with the nearest name, where neither TFDS nor Canon has such a set."""
    if name in ours:
        return
    import tensorflow_datasets as tfds

    sets = tfds.list_builders(with_community_datasets=False)
    if name.split("/")[0] not in sets:
        catalog = "its sets: https://www.tensorflow.org/datasets/catalog/overview"
        raise BadInput(f"TFDS has no {name!r}; {nearest(name, [*sets, *ours], catalog)}")


def prepare(name: str, manual_dir: str | None = None) -> pathlib.Path:
    """The folder of a set, which TFDS downloads and prepares.

    A set that is there as TFRecord is converted instead.
    """
    there = files.tfds_version(name)
    if there:
        print(f"already prepared: {there}")
        return there
    records = files.tfds_version(name, "tfrecord")
    if records:
        return convert(records, records)
    try:
        import importlib_resources  # noqa: F401  TFDS 4.9.10 imports it and does not declare it
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds
    except ImportError as error:
        missing = error.name or error
        raise BadInput(
            f"preparing {name} needs {missing}: pip install -e '.[prepare]' -c constraints.txt"
        ) from None
    try:
        builder = tfds.builder(name, data_dir=str(files.tfds_folder()), file_format="array_record")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
        )
    except (Exception, AssertionError) as error:  # TFDS raises whatever its downloader raises
        reason = " ".join(str(error).split())[:300]
        raise BadInput(
            f"TFDS could not prepare {name} ({type(error).__name__}: {reason})"
        ) from None
    return prepared.directory(name)


def convert(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Writes the records of a TFRecord folder NAME/VERSION as array_record into `target`.

    `target` may be the same folder. The bytes of each record stay as they are. Shards that are
    there are not written again, so a second call resumes the conversion. The folder counts as
    prepared once dataset_info.json, written last, is there. The TFRecord files stay. Raises
    BadInput.
    """
    try:
        info = documents.read(source / "dataset_info.json")
        splits = {
            split["name"]: [int(length) for length in split["shardLengths"]]
            for split in info["splits"]
        }
        if info.get("fileFormat", "tfrecord") != "tfrecord":
            raise BadInput(f"{source} holds {info['fileFormat']}, not tfrecord")
        if any(pathlib.Path(name).name != name for name in (info["name"], *splits)):
            raise ValueError("the name of the set or of a split is a path")
        shards = [
            (split, i, len(lengths), length)
            for split, lengths in splits.items()
            for i, length in enumerate(lengths)
        ]
        target.mkdir(parents=True, exist_ok=True)
        for done, (split, number, of, length) in enumerate(shards):
            name = f"{info['name']}-{split}.{{}}-{number:05}-of-{of:05}"
            path = target / name.format("array_record")
            if not path.exists():
                _convert_shard(source / name.format("tfrecord"), path, length)
            _progress(done + 1, len(shards), source)
        for path in source.glob("*"):
            if (
                target != source
                and path.is_file()
                and ".tfrecord-" not in path.name
                and path.name != "dataset_info.json"
            ):
                write_whole(target / path.name, path.read_bytes())
        info["fileFormat"] = "array_record"
        for split in info["splits"]:
            if "filepathTemplate" in split:
                split["filepathTemplate"] = split["filepathTemplate"].replace(
                    "tfrecord", "array_record"
                )
        write_whole(target / "dataset_info.json", json.dumps(info, indent=2))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise DataError(
            f"{source / 'dataset_info.json'} is damaged ({type(error).__name__}: {error})"
        ) from None
    except OSError as error:
        raise DataError(f"{error.filename or source}: {reason(error)}") from None
    if source == target:
        print(f"{source}: the TFRecord files may be deleted")
    return target


def _convert_shard(source: pathlib.Path, path: pathlib.Path, length: int) -> None:
    """Writes one file, all of it or nothing.

    Raises DataError where it does not have `length` records.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    writer = ArrayRecordWriter(str(part), "group_size:1")
    try:
        count = 0
        with source.open("rb") as file:
            while header := file.read(12):  # length, its crc; then the record and its crc
                size = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else 0
                record = file.read(size + 4) if size <= source.stat().st_size else b""
                if len(header) < 12 or len(record) < size + 4:
                    raise DataError(f"{source} ends within record {count}; fetch it again")
                writer.write(record[:-4])
                count += 1
        if count != length:
            raise DataError(f"{source} has {count} records, must have {length}; fetch it again")
        writer.close()
        os.replace(part, path)
    finally:
        if writer.is_open():
            writer.close()
        part.unlink(missing_ok=True)


def _progress(done: int, of: int, what: pathlib.Path) -> None:
    """One line that is rewritten on a terminal; elsewhere a line for each tenth."""
    if sys.stdout.isatty():
        print(f"\r{what}: {done:,} of {of:,} shards", end="\n" if done == of else "", flush=True)
    elif done == of or done * 10 // of > (done - 1) * 10 // of:
        print(f"{what}: {done:,} of {of:,} shards", flush=True)


def check(name: str) -> str:
    """One line about a prepared folder.

    It counts the records and reads a sample of each split. Raises BadInput where the folder is
    missing or incomplete, or where a record of the sample is damaged.
    """
    import tensorflow_datasets as tfds

    folder, counts = prepared.directory(name), {}
    try:
        builder = prepared.builder(folder)
        features = builder.info.features
        pictures = [key for key in features if isinstance(features[key], tfds.features.Image)]
        for split, said in builder.info.splits.items():
            records = builder.as_data_source(
                split, decoders={key: tfds.decode.SkipDecoding() for key in pictures}
            )
            counts[split] = len(records)
            if len(records) != said.num_examples:
                raise DataError(
                    f"{folder}: {split} has {len(records):,} records, must have "
                    f"{said.num_examples:,}"
                )
            for i in np.unique(np.linspace(0, len(records) - 1, SAMPLE).astype(int)):
                example = records[int(i)]
                for key in pictures:
                    _look_at(example[key], f"{folder}: record {i} of {split}")
    except BadInput:
        raise
    except Exception as error:  # of any type
        raise prepared.damaged(name, folder, error) from None
    examples = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    return f"{name}: {folder}: {examples}; {SAMPLE} records of each read"


def _look_at(picture: bytes, what: str) -> None:
    try:
        crops.decode(picture, crops.decoder("auto"))
    except ValueError as error:
        raise DataError(f"{what} cannot be decoded ({error})") from None
