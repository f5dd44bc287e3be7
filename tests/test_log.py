"""The log: what is recorded is there again after a resumption, on a disk and in an object store."""

import numpy as np
import pytest
from etils import epath
from helpers import bucket

from train import log
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
