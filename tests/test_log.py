"""The log: what is recorded is there again after a resumption, on a disk and in an object store."""

import struct

import numpy as np
import pytest
from etils import epath
from helpers import bucket

from train import board, log
from train.errors import BadInput


@pytest.fixture(params=["disk", "bucket"])
def workdir(request, tmp_path, monkeypatch):
    return epath.Path(tmp_path) if request.param == "disk" else bucket(monkeypatch) / "run"


def test_a_resumed_log_holds_each_record_once_and_drops_what_will_be_made_again(workdir):
    for resumed_at in (0, 4):
        workdir.mkdir(parents=True, exist_ok=True)
        with log.Log(workdir, steps=8, resumed_at=resumed_at) as lines:
            for step in range(resumed_at + 2, resumed_at + 7, 2):
                lines.record(step, "train", {"loss": np.array([1.0, np.nan])})
                lines.record(step, "test", {"loss": np.array([step, 0.0])})
    records = [(r["step"], r["split"]) for r in log.read(workdir)]
    again = [(step, split) for step in (6, 8, 10) for split in ("train", "test")]
    assert records == [(2, "train"), (2, "test"), (4, "train"), *again]
    assert log.read(workdir)[0]["loss"] == [1.0, None]
    assert any("tfevents" in file.name for file in (workdir / "tensorboard").iterdir())


def two_sessions(workdir, evaluates=True) -> None:
    """Steps 2 to 6, of which 6 is lost; then from step 4 on, which is evaluated again."""
    for resumed_at, values in ((0, [2.0, 4.0, 6.0]), (4, [5.0])):
        with log.Log(workdir, steps=6, resumed_at=resumed_at, evaluates=evaluates) as lines:
            if resumed_at and evaluates:
                lines.record(4, "test", {"error": np.array([4.0])})
            for step, value in zip(range(resumed_at + 2, 7, 2), values, strict=True):
                seeds = {"loss": np.array([value, 9]), "lr": np.array([0.1, np.nan])}
                lines.record(step, "train", seeds, examples_per_s=7.0)
                lines.record(step, "test", {"error": np.array([value])})


def on_the_board(workdir) -> dict[str, list[tuple[int, float]]]:
    """{tag: [(step, value)]} as TensorBoard reads event files: one that begins a session hides what
    those before it show of its step and of later ones."""
    shown, proto = {}, board._tensorboardx()[1]
    for file in sorted((workdir / "tensorboard").iterdir()):
        contents = file.read_bytes()
        while contents:
            (size,) = struct.unpack("<Q", contents[:8])  # its crc; the event, its crc
            event = proto.Event.FromString(contents[12 : 12 + size])
            contents = contents[16 + size :]
            if event.session_log.status == proto.SessionLog.START:
                shown = {tag: [p for p in at if p[0] < event.step] for tag, at in shown.items()}
            for value in event.summary.value:
                at = shown.setdefault(value.tag, [])
                at.append((event.step, round(value.simple_value, 6)))
    return shown


@pytest.fixture
def clock(monkeypatch):
    """A second goes by at each look at it: the names of event files are in seconds."""
    times = iter(range(1_000_000_000, 2_000_000_000))
    monkeypatch.setattr("time.time", lambda: float(next(times)))


@pytest.mark.parametrize("evaluates", [True, False])
def test_the_board_shows_each_record_of_a_resumed_run_once(tmp_path, clock, evaluates):
    two_sessions(epath.Path(tmp_path), evaluates)
    assert on_the_board(tmp_path) == {
        "train/loss": [(2, 2.0), (4, 4.0), (6, 5.0)],  # of the seed that trains still
        "train/lr": [(step, 0.1) for step in (2, 4, 6)],
        "train/examples_per_s": [(step, 7.0) for step in (2, 4, 6)],
        "test/error": [(2, 2.0), (4, 4.0), (6, 5.0)],
    }


@pytest.mark.full
def test_tensorboard_itself_shows_each_record_of_a_resumed_run_once(tmp_path, clock):
    name = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(name, reason="pip install tensorboard")
    two_sessions(epath.Path(tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    for tag in ("test/error", "train/loss"):
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        assert shown == [(2, 2.0), (4, 4.0), (6, 5.0)], tag


def test_a_line_that_a_kill_cut_short_ends_the_records(tmp_path):
    (tmp_path / log.FILE).write_text('{"step": 1, "split": "train"}\n{"step": 2, "spl')
    assert log.read(epath.Path(tmp_path)) == [{"step": 1, "split": "train"}]


def test_a_damaged_line_before_the_last_is_refused_by_its_number(tmp_path):
    (tmp_path / log.FILE).write_bytes(
        b'{"step": 1, "split": "train"}\n{"step": 2, "spl\xff": 3}\n{"step": 3, "split": "train"}\n'
    )
    with pytest.raises(BadInput, match="line 2 of .*metrics.jsonl is damaged; delete it"):
        log.read(epath.Path(tmp_path))


@pytest.mark.parametrize("value", ["null", "3.5", '["a"]', "{}", '[[1.0], "b"]'])
def test_a_metric_that_is_no_list_of_numbers_is_refused_by_its_line(tmp_path, value):
    (tmp_path / log.FILE).write_text(f'{{"step": 1, "split": "train", "loss": {value}}}\n')
    with pytest.raises(BadInput, match="line 1 of .*metrics.jsonl is damaged"):
        log.read(epath.Path(tmp_path))
