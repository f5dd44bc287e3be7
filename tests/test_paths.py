"""Paths that flags name: local ones, buckets, and what is no path, which every command refuses in
one line."""

import json

import fsspec
import helpers
import pytest
from etils.epath import backend

from scripts import generate, report, sweep, transduce
from train import __main__ as command
from train import paths
from train.errors import BadInput

TABLE = "configs/papers/lstm1997/temporal_order.py"
COMMANDS = [
    (command, [f"--config={helpers.LENET}"]),
    (sweep, [TABLE, "--dry_run"]),
    (report, [TABLE]),
    (generate, []),
    (transduce, ["canon"]),
]


def refused(main, arguments) -> str:
    with pytest.raises(BadInput) as error:
        main(arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("of", "arguments"), COMMANDS)
@pytest.mark.parametrize(
    ("workdir", "says"),
    [
        ("gs://my-canon/x", "--workdir: gs://my-canon/x: no such package; pip install -e '.[gcs]'"),
        ("s3://my-canon/x", "--workdir: s3://my-canon/x: no such package; pip install s3fs"),
        (
            "foo://x",
            "--workdir: foo://x: unknown 'foo://'; have gs://, s3://, az://, hf:// and local paths",
        ),
        ("gs://", "--workdir: gs://: names no bucket"),
        ("", "--workdir: is empty"),
    ],
)
def test_a_workdir_that_cannot_be_opened_is_refused_in_one_line_by_every_command(
    of, arguments, workdir, says, monkeypatch
):
    def missing(*_, **__):
        raise ImportError("no such package")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    backend.fsspec_backend._get_filesystem.cache_clear()
    assert says in refused(of.main, [*arguments, f"--workdir={workdir}"])


@pytest.mark.parametrize(("of", "arguments"), [(generate, []), (transduce, ["canon"])])
def test_a_run_in_a_bucket_is_read_there(of, arguments, monkeypatch):
    run = helpers.bucket(monkeypatch) / "run"
    (run / "config.json").write_text(
        json.dumps(dict(model=dict(name="seq2seq"), data={}, seeds=[0]))
    )
    assert refused(of.main, [*arguments, f"--workdir={run}"]) == "gs://bucket/run: no checkpoint"


def test_a_bucket_that_does_not_answer_is_refused_with_what_its_package_says(monkeypatch):
    def unreachable(*_):
        raise RuntimeError("Anonymous caller\ndoes not have access")

    monkeypatch.setattr(helpers.Bucket, "exists", unreachable)
    helpers.bucket(monkeypatch)
    with pytest.raises(
        BadInput, match=r"gs://bucket/x: not reached \(Anonymous caller does not have access\)"
    ):
        paths.path_of("gs://bucket/x")


def test_a_local_path_is_absolute_and_a_bucket_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    helpers.bucket(monkeypatch)
    assert str(paths.path_of("runs/x")) == str(tmp_path / "runs" / "x")
    assert str(paths.path_of("gs://bucket/x")) == "gs://bucket/x"
