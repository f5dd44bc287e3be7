"""Checkpoints: what is restored is what was saved, or nothing."""

import asyncio
import gc
import shutil
import sys
import time
import types

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath
from helpers import build, flip_bits

from train.checkpoint import Checkpoints
from train.errors import NotRead
from train.loop import fresh_state

SUMS = {"loss": np.array([1 / 3, np.nan], np.float32), "steps": np.array([7, 7], np.int32)}


@pytest.fixture(scope="module")
def state():
    return fresh_state(build(seeds=(0, 1), optim__ema=0.9, optim__accumulate=2))


def save(folder, state, steps, keep=2, scores=None):
    with Checkpoints(epath.Path(folder), keep) as checkpoints:
        for i, step in enumerate(steps):
            marked = state.replace(step=np.full_like(state.step, step))
            checkpoints.scores |= {step: scores[i]} if scores else {}
            checkpoints.save(step, (marked, SUMS), {"seconds": 1.5, "data": "d"})
            checkpoints._manager.wait_until_finished()
        return checkpoints.steps()


def restore(folder, template):
    warnings = []
    with Checkpoints(epath.Path(folder), 2) as checkpoints:
        return checkpoints.restore((template, SUMS), warnings.append), warnings


def test_what_is_restored_has_the_bits_and_the_structure_of_what_was_saved(tmp_path, state):
    save(tmp_path, state, [7])
    ((found, sums), meta), warnings = restore(tmp_path, jax.eval_shape(lambda: state))
    assert jax.tree.structure(found) == jax.tree.structure(state) and not warnings
    expected = state.replace(step=np.full_like(state.step, 7))
    assert all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True)
    )
    assert all(np.array_equal(sums[name], SUMS[name], equal_nan=True) for name in SUMS)
    assert (meta["seconds"], meta["data"]) == (1.5, "d")


def test_an_empty_folder_restores_nothing(tmp_path, state):
    assert restore(tmp_path, state) == (None, [])


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "Permission denied"),
        ValueError("UNAVAILABLE: the bucket"),
        MemoryError(),
    ],
)
def test_a_checkpoint_that_cannot_be_read_for_now_is_neither_passed_over_nor_called_broken(
    tmp_path, state, monkeypatch, error
):
    def restored(*_, **__):
        raise error

    save(tmp_path, state, [3, 7])
    monkeypatch.setattr(ocp.CheckpointManager, "restore", restored)
    with pytest.raises(
        NotRead, match="cannot read checkpoint 7 in .* now .*; it may be sound: try again"
    ):
        restore(tmp_path, state)
    monkeypatch.undo()
    assert restore(tmp_path, state)[0][1]["step"] == 7


def test_the_latest_and_the_best_are_kept(tmp_path, state):
    assert save(tmp_path, state, [1, 2, 3, 4, 5], keep=2, scores=[0.5, 0.1, 0.4, 0.3, 0.2]) == [
        2,
        4,
        5,
    ]


def test_a_score_that_is_no_number_is_never_the_best(tmp_path, state):
    assert save(tmp_path, state, [1, 2, 3], keep=1, scores=[0.5, float("nan"), 0.6]) == [1, 3]


def test_flipped_bits_are_noticed_and_the_checkpoint_before_is_taken(tmp_path, state):
    save(tmp_path, state, [1, 2])
    flip_bits(tmp_path / "2")
    ((found, _), _), warnings = restore(tmp_path, state)
    assert found.step.tolist() == [1, 1]
    assert len(warnings) == 1 and "checkpoint 2" in warnings[0] and "falling back" in warnings[0]


def test_a_damaged_checkpoint_of_many_arrays_is_said_in_one_line_and_no_traceback(
    tmp_path, monkeypatch, caplog
):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    arrays = {f"params/{i}": np.arange(20_000.0) + i for i in range(100)}
    with Checkpoints(epath.Path(tmp_path), 2) as checkpoints:
        checkpoints.save(1, (arrays, {}), {"data": "d"})
    files = [path for path in (tmp_path / "1" / "state").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:1000])
    lines = []
    for _ in range(3):
        with Checkpoints(epath.Path(tmp_path), 2) as checkpoints:
            with pytest.raises(ValueError, match="no checkpoint in .* is sound"):
                checkpoints.arrays(lines.append)
    time.sleep(0.2)  # for answers that come late

    async def fails():
        raise ValueError("as a read that nobody waits for")

    async def leaves():
        task = asyncio.ensure_future(fails())
        await asyncio.sleep(0)
        assert task.done()

    asyncio.run(leaves())
    gc.collect()
    assert len(lines) == 3 and not shown and not caplog.records
    sys.unraisablehook(types.SimpleNamespace(exc_value=RuntimeError("another one")))
    assert len(shown) == 1


def test_a_truncated_file_or_an_empty_step_folder_falls_back_too(tmp_path, state):
    save(tmp_path, state, [1, 2])
    for file in (tmp_path / "2" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:10])
    (tmp_path / "99").mkdir()
    ((found, _), _), warnings = restore(tmp_path, state)
    assert found.step.tolist() == [1, 1] and len(warnings) == 2


def test_a_checkpoint_under_the_number_of_another_step_or_with_other_notes_is_not_taken(
    tmp_path, state
):
    save(tmp_path, state, [1, 2])
    shutil.copytree(tmp_path / "1", tmp_path / "99")
    notes = tmp_path / "2" / "meta" / "metadata"
    notes.write_text(notes.read_text().replace("1.5", "7.5"))
    (((found, _), meta), warnings) = restore(tmp_path, state)
    assert (meta["step"], meta["seconds"]) == (1, 1.5) and found.step.tolist() == [1, 1]
    assert ["checkpoint 99" in warnings[0], "checkpoint 2 " in warnings[1], len(warnings)] == [
        True,
        True,
        2,
    ]


def test_after_a_fallback_the_broken_step_can_be_saved_anew(tmp_path, state):
    save(tmp_path, state, [1, 2])
    (tmp_path / "3").mkdir()
    with Checkpoints(epath.Path(tmp_path), 2) as checkpoints:
        checkpoints.discard_after(1)
        assert checkpoints.steps() == [1]
    assert save(tmp_path, state, [2]) == [1, 2]
    ((found, _), _), warnings = restore(tmp_path, state)
    assert found.step.tolist() == [2, 2] and not warnings


def test_a_step_that_is_not_newer_than_the_newest_is_not_dropped_in_silence(tmp_path, state):
    save(tmp_path, state, [1, 2])
    with pytest.raises(RuntimeError, match="did not save step 1"):
        save(tmp_path, state, [1])


def test_a_folder_with_broken_checkpoints_alone_is_refused_and_not_started_afresh(tmp_path, state):
    (tmp_path / "5").mkdir()
    with pytest.raises(ValueError, match="no checkpoint in .* is sound; move the folder away"):
        restore(tmp_path, state)


def test_a_checkpoint_of_another_network_is_refused_by_name(tmp_path, state):
    save(tmp_path, state, [1])
    other = fresh_state(build(seeds=(0, 1), model__hidden=9))
    with pytest.raises(ValueError, match="does not fit this code: .*expected"):
        restore(tmp_path, other)
