"""Preparing TFDS's folders: conversion from TFRecord without TensorFlow, and the check of what is
there."""

import json
import pathlib
import shutil
import struct
import subprocess
import sys

import pytest
from array_record.python.array_record_data_source import ArrayRecordDataSource
from folders import jpeg, photograph, prepare_photographs

from scripts import prepare_data
from train.data import files
from train.errors import BadInput

EXAMPLES = [(jpeg(photograph(n)), n % 4) for n in range(12)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """imagenet2012 as array_record, 8 + 4 photographs."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    return prepare_photographs(dict(train=EXAMPLES[:8], validation=EXAMPLES[8:]))


def shards(folder) -> dict[str, list[bytes]]:
    """The records of each array_record file."""
    found = {}
    for path in sorted(folder.glob("*.array_record-*")):
        records = ArrayRecordDataSource([str(path)])
        found[path.name] = [bytes(record) for record in records.__getitems__(range(len(records)))]
    return found


def as_tfrecord(folder, target) -> pathlib.Path:
    """The same folder in TFDS's other format."""
    target.mkdir(parents=True, exist_ok=True)
    for name, records in shards(folder).items():
        framed = (
            struct.pack("<QI", len(record), 1) + record + struct.pack("<I", 2) for record in records
        )
        (target / name.replace("array_record", "tfrecord")).write_bytes(b"".join(framed))
    (target / "features.json").write_bytes((folder / "features.json").read_bytes())
    info = (folder / "dataset_info.json").read_text()
    (target / "dataset_info.json").write_text(info.replace('"array_record"', '"tfrecord"'))
    return target


def refused(*arguments) -> str:
    with pytest.raises(BadInput) as caught:
        prepare_data.main(["imagenet2012", *arguments])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_converted_folder_has_the_same_records_and_needs_no_tensorflow(folder, tmp_path):
    records = shards(folder)
    assert sum(map(len, records.values())) == 12
    old = as_tfrecord(folder, tmp_path / "old" / "5.1.0")
    shutil.rmtree(folder)
    command = ["imagenet2012", f"--tfrecord={old}"]
    script = f"import sys; from scripts import prepare_data; prepare_data.main({command}); print('tensorflow' in sys.modules)"
    said = subprocess.check_output(
        [sys.executable, "-c", script], text=True, stderr=subprocess.DEVNULL
    ).split("\n")
    assert said[-2] == "False" and said[-3].endswith(
        "8 train, 4 validation; 100 records of each read"
    )
    assert any("2 of 2 shards" in line for line in said)
    assert shards(folder) == records and files.tfds_version("imagenet2012") == folder


def test_a_conversion_that_was_cut_short_leaves_nothing_half_written_and_goes_on(folder, capsys):
    records = shards(folder)
    as_tfrecord(folder, folder)
    for path in folder.glob("*.array_record-*"):
        path.unlink()
    whole = next(folder.glob("*validation.tfrecord*"))
    sound = whole.read_bytes()
    whole.write_bytes(sound[:-100])
    assert f"{whole} ends within record 3; fetch it again" in refused()
    whole.write_bytes(sound[: -len(sound) // 2])
    assert str(whole) in refused()
    assert files.tfds_version("imagenet2012") is None and list(shards(folder)) == [
        "imagenet2012-train.array_record-00000-of-00001"
    ]
    first = next(folder.glob("*train.array_record*")).stat()
    whole.write_bytes(sound)
    prepare_data.main(["imagenet2012"])
    assert "the TFRecord files may be deleted" in capsys.readouterr().out
    assert shards(folder) == records
    assert next(folder.glob("*train.array_record*")).stat().st_mtime_ns == first.st_mtime_ns


def test_a_conversion_of_what_is_no_tfrecord_folder_is_refused(folder, tmp_path):
    assert "holds array_record, not tfrecord" in refused(f"--tfrecord={folder}")
    assert "No such file" in refused(f"--tfrecord={tmp_path}")
    old = as_tfrecord(folder, tmp_path / "old" / "5.1.0")
    (old / "dataset_info.json").write_text('{"name": "imagenet2012"}')
    assert "dataset_info.json is damaged" in refused(f"--tfrecord={old}")


def test_the_check_counts_records_and_reads_some_of_each_split(folder, capsys):
    prepare_data.main(["imagenet2012", "--check"])
    assert capsys.readouterr().out.endswith(
        f"{folder}: 8 train, 4 validation; 100 records of each read\n"
    )
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"] = ["9"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    assert str(folder) in refused("--check")


def test_the_check_finds_a_photograph_that_is_cut_short(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    image, label = EXAMPLES[0]
    folder = prepare_photographs(
        dict(train=EXAMPLES[1:4], validation=[(image[: len(image) // 2], label)])
    )
    assert refused("--check").startswith(f"{folder}: record 0 of validation cannot be decoded")


def test_a_set_that_is_not_there_is_refused_with_the_command_and_one_that_needs_tensorflow_says_how(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert refused("--check").endswith("run python -m scripts.prepare_data imagenet2012")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert refused().endswith("pip install -e '.[prepare]' -c constraints.txt")
