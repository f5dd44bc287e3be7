"""A workdir on gs:// belongs to one process: its lock is an object that lives by being written
again. Here it is in TensorStore's store in memory, which knows the same conditions as a bucket."""

import sys
import threading
import time

import pytest
import tensorstore

from train import lock
from train.errors import BadInput


@pytest.fixture
def store(monkeypatch):
    """In the place of a bucket, where beats are seconds apart."""
    for name, seconds in {"BEAT": 0.05, "STALE": 2, "POLL": 0.02}.items():
        monkeypatch.setattr(lock, name, seconds)
    monkeypatch.setattr(lock, "_end", sys.exit)
    return tensorstore.KvStore.open({"driver": "memory"}).result()


def taken(store) -> lock.Lock:
    held = lock.Lock(store, "gs://canon/run")
    held.take()
    return held


def test_a_lock_that_is_held_is_refused_with_its_holder_until_it_is_released(store):
    first = taken(store)
    try:
        with pytest.raises(BadInput, match=r"another process, process \d+ on '.*', is training in"):
            taken(store)
    finally:
        first.release()
    assert store.read("lock").result().state == "missing"
    taken(store).release()


def test_the_lock_of_a_dead_process_is_taken_over_once_it_is_stale(store, capsys):
    store.write("lock", b'{"process": 7, "host": "gone"}').result()
    begun = time.monotonic()
    held = taken(store)
    assert lock.STALE < time.monotonic() - begun
    held.release()
    assert (
        "gs://canon/run is locked by process 7 on 'gone'; if that is dead"
        in capsys.readouterr().err
    )


def test_of_processes_that_come_at_once_one_has_the_lock(store):
    outcomes = []

    def come():
        try:
            outcomes.append(taken(store))
        except BadInput as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [outcome for outcome in outcomes if isinstance(outcome, lock.Lock)]
    assert len(held) == 1 and len(outcomes) == 8
    held[0].release()


def test_a_holder_whose_answer_was_lost_still_has_the_lock(store):
    held = taken(store)
    store.write("lock", store.read("lock").result().value).result()  # as the client's second try
    held.refresh()
    time.sleep(3 * lock.BEAT)
    held.release()
    assert store.read("lock").result().state == "missing"


def test_a_process_whose_lock_was_taken_over_while_it_was_stopped_ends_before_it_writes(
    store, monkeypatch
):
    monkeypatch.setattr(lock, "BEAT", 60)  # none comes before the checkpoint
    held = taken(store)
    monkeypatch.setattr(lock, "_held", held)
    lock.confirm()
    store.write("lock", b"of another process").result()
    held.written -= lock.STALE
    with pytest.raises(SystemExit, match="another process has taken over gs://canon/run"):
        lock.confirm()
    held.release()
    assert store.read("lock").result().value == b"of another process"
