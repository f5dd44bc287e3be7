"""Links in a workdir: what they point to is neither written nor deleted."""

import errno
import os
import pathlib
import re

import numpy as np
import pytest
from etils import epath

from architectures import weight_files
from train import lock, log
from train.board import Board
from train.checkpoint import Checkpoints
from train.errors import BadInput, NotWritten

ARRAYS = {"params/w": np.arange(6.0), "step": np.array([3], np.int32)}


@pytest.fixture
def precious(tmp_path):
    """A file of somebody's, outside of the workdir."""
    file = tmp_path / "precious" / "thesis.tex"
    (file.parent / "sub").mkdir(parents=True)
    for path in (file, file.parent / "sub" / "data.csv"):
        path.write_text("precious")
    return file


@pytest.fixture
def workdir(tmp_path):
    (tmp_path / "run").mkdir()
    return epath.Path(tmp_path / "run")


def whole(precious) -> bool:
    return all(
        path.read_text() == "precious"
        for path in (precious, precious.parent / "sub" / "data.csv")
        if not path.is_dir()
    )


def save(folder, *steps, keep=2):
    with Checkpoints(epath.Path(folder), keep) as checkpoints:
        for step in steps:
            checkpoints.save(step, (ARRAYS, {}), {"data": "d"})


def read(folder):
    with Checkpoints(epath.Path(folder), 2) as checkpoints:
        arrays, meta = checkpoints.arrays(pytest.fail)
    assert {name.removeprefix("sums/") for name in arrays} >= ARRAYS.keys()
    return meta["step"]


@pytest.mark.parametrize("end", ["", ".part"])
@pytest.mark.parametrize("name", ["config.json", "result.json", "curves.png", log.FILE])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_of_a_run_takes_the_place_of_a_link_and_what_that_points_to_stays(
    workdir, precious, name, end, link
):
    link(precious, workdir / f"{name}{end}")
    log.write_whole(workdir / name, "new")
    assert (workdir / name).read_text() == "new" and not os.path.islink(workdir / name)
    assert whole(precious) and [path.name for path in workdir.iterdir()] == [name]


@pytest.mark.parametrize("kind", ["device", "folder"])
def test_a_device_or_a_folder_in_the_place_of_a_file_is_refused(workdir, precious, kind):
    os.symlink("/dev/null" if kind == "device" else precious.parent, workdir / "config.json")
    with pytest.raises(OSError, match="not a plain file"):
        log.write_whole(workdir / "config.json", "new")
    assert os.path.islink(workdir / "config.json") and whole(precious)


def test_a_record_is_not_appended_to_what_a_link_points_to(workdir, precious):
    with pytest.raises(OSError), log.Log(workdir, steps=2, resumed_at=0) as lines:
        (workdir / log.FILE).unlink()
        os.symlink(precious, workdir / log.FILE)
        lines.record(1, "train", {"loss": np.array([1.0])})
    assert whole(precious)


def test_a_lock_that_is_a_link_leaves_what_it_points_to(workdir, precious):
    os.symlink(precious, workdir / "lock")
    with lock.alone_in(workdir):
        assert whole(precious) and not os.path.islink(workdir / "lock")
    (workdir / "lock").unlink()
    os.symlink(precious.parent / "new", workdir / "lock")
    with lock.alone_in(workdir):
        assert not (precious.parent / "new").exists()


def test_a_lock_that_is_a_pipe_is_refused_and_not_waited_for(workdir):
    os.mkfifo(workdir / "lock")
    with pytest.raises(BadInput, match="cannot write in"), lock.alone_in(workdir):
        pytest.fail("locked a pipe")


@pytest.mark.parametrize("cores", [2, 8])
def test_a_link_among_the_checkpoints_is_refused_and_what_it_points_to_stays(
    workdir, precious, cores, monkeypatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)  # Orbax deletes in parallel from 4 on
    folder = workdir / "checkpoints"
    save(folder, 50)
    os.symlink(precious.parent, folder / "100")
    with Checkpoints(folder, 2) as checkpoints:
        with pytest.raises(BadInput, match=r"checkpoints/100 is a link.*; move it away"):
            checkpoints.discard_after(50)
        with pytest.raises(OSError):  # as a link that is made while it trains
            checkpoints._manager.delete(100)
    assert whole(precious) and os.path.islink(folder / "100")
    (folder / "100").unlink()
    assert read(folder) == 50


def test_a_link_inside_of_a_checkpoint_goes_with_it_and_what_it_points_to_stays(
    workdir, precious, monkeypatch
):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    save(workdir / "checkpoints", 1)
    os.symlink(precious.parent, workdir / "checkpoints" / "1" / "more")
    save(workdir / "checkpoints", 2, 3, 4)
    assert not (workdir / "checkpoints" / "1").exists() and whole(precious)


def test_checkpoints_and_events_may_lie_behind_links_to_folders_of_another_disk(workdir, tmp_path):
    for name in ("checkpoints", "tensorboard"):
        (tmp_path / "large" / name).mkdir(parents=True)
        os.symlink(tmp_path / "large" / name, workdir / name)
    lock.can_write(workdir)
    save(workdir / "checkpoints", 1, 2, 3)
    Board(workdir / "tensorboard", 0).close()
    assert read(workdir / "checkpoints") == 3
    assert sorted(p.name for p in (tmp_path / "large" / "checkpoints").iterdir()) == ["2", "3"]
    assert [*(tmp_path / "large" / "tensorboard").iterdir()]


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard"])
def test_a_link_to_a_folder_that_is_gone_is_refused_before_training(workdir, tmp_path, name):
    os.symlink(tmp_path / "gone", workdir / name)
    with pytest.raises(BadInput, match=f"cannot make the folder {name} in .*run"):
        lock.can_write(workdir)


# Orbax takes the folder for a pattern, or TensorStore for one of another name
@pytest.mark.parametrize("name", ["[lr=0.1]", "a\\b"])
def test_a_save_that_does_not_read_back_is_an_error_and_the_checkpoint_before_it_stays(
    tmp_path, name
):
    save(tmp_path / "plain", 1)
    (tmp_path / "plain").rename(tmp_path / name)
    with pytest.raises(NotWritten, match=r"checkpoint 2 in .* does not read back \(.*\); those"):
        save(tmp_path / name, 2, keep=1)
    assert (tmp_path / name / "1").exists()


def test_only_the_first_save_of_a_session_is_read_back(workdir, monkeypatch):
    folder, steps, through = workdir / "checkpoints", [], Checkpoints._read
    monkeypatch.setattr(
        Checkpoints, "_read", lambda self, step: steps.append(step) or through(self, step)
    )
    save(folder, 1, 2, 3)
    assert steps == [1]


def test_a_disk_that_is_full_leaves_the_weights_that_were_there(tmp_path, precious, monkeypatch):
    def full(path, **_):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.symlink(precious, tmp_path / "link.npz")
    weight_files.write(tmp_path / "link.npz", ARRAYS)
    assert whole(precious) and weight_files.read(tmp_path / "link.npz").keys() == ARRAYS.keys()
    monkeypatch.setattr(np, "savez", full)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="link.npz: .*No space left on device"):
        weight_files.write(tmp_path / "link.npz", ARRAYS)
    assert sorted(tmp_path.rglob("*")) == before
    assert weight_files.read(tmp_path / "link.npz").keys() == ARRAYS.keys()


WRITES = re.compile(
    r"\.(write_text|write_bytes|savefig)\(|\bopen\([^)]*['\"][wax]b?['\"]|np\.savez"
)
OTHERS = {  # which write no file by a name that a person or a run gave
    "train/lock.py": 1,  # by follow_no_link
    "train/log.py": 5,  # write_whole itself; by follow_no_link; objects of a bucket
    "train/streams.py": 2,  # by their numbers
    "train/report.py": 1,  # into memory
    "train/data/files.py": 1,  # into memory
}


def test_every_file_is_written_by_the_one_writer():
    root, found = pathlib.Path(log.__file__).parent.parent, {}
    for path in sorted([*root.glob("train/**/*.py"), *root.glob("scripts/*.py")]):
        name = str(path.relative_to(root))
        if not name.startswith(("scripts/torture", "scripts/bench", "scripts/hosts_check")):
            lines = [line for line in path.read_text().splitlines() if WRITES.search(line)]
            found |= {name: lines} if lines else {}
    assert {name: len(lines) for name, lines in found.items()} == OTHERS, found
