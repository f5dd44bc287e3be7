"""Streamed data: the batch of a step depends on nothing but its number."""

import numpy as np
import pytest
from helpers import same, taken

from train.data.source import Source, Stream, evaluation_order, permutation
from train.data.streamed import CHUNK, Reader


def numbers(examples, asked=None):
    """A streamed source whose examples are their own numbers and positions; `asked` notes what is
    read."""

    def read(index, positions):
        if asked is not None:
            asked.append(positions)
        return dict(index=index, position=index * 0 - 1 if positions is None else positions)

    blank = dict(index=np.zeros([1], np.int64), position=np.zeros([1], np.int64))
    return Source(examples, blank, make=None, stream=Stream(read, seed=7))


def test_each_epoch_takes_each_example_once_in_an_order_of_its_own_and_of_the_seed():
    index = taken(numbers(100), steps=5)["index"].reshape(-1)
    assert sorted(index[:100]) == sorted(index[100:200]) == list(range(100))
    assert np.array_equal(index[:100], permutation(7, 0, 100)) and np.array_equal(
        index[100:], permutation(7, 1, 100)
    )


def test_the_batch_of_a_step_is_the_same_after_any_steps_before_it_and_for_any_steps_at_a_time():
    source, whole = numbers(100), taken(numbers(100), steps=8)
    reader = Reader(source, 40, (0, 40), training=True)
    for step, steps in ((0, 1), (1, 3), (6, 2), (2, 1), (3, 1)):
        part = reader.take(step, steps, steps + 1)
        assert same(
            {k: x[:steps] for k, x in part.items()},
            {k: x[step : step + steps] for k, x in whole.items()},
        )
        assert not part["position"][steps:].any()  # what fills the dispatch up
    reader.close()


def test_resuming_reads_nothing_of_the_steps_before():
    asked = []
    taken(numbers(100, asked), step=123_456)
    assert min(map(min, asked)) == 123_456 * 40


@pytest.mark.parametrize("hosts", [1, 4])
@pytest.mark.parametrize("training", [True, False])
def test_the_rows_of_all_hosts_are_the_batch(hosts, training):
    source, size = numbers(130), 80
    whole = taken(source, 1, 1, (0, size), training=training, batch_size=size)
    share = size // hosts
    parts = [
        taken(source, 1, 1, (h * share, (h + 1) * share), training=training, batch_size=size)
        for h in range(hosts)
    ]
    assert (
        same({k: np.concatenate([p[k] for p in parts], axis=1) for k in whole}, whole)
        and share != CHUNK
    )


def test_evaluation_reads_what_the_order_of_evaluation_says():
    source = numbers(90)
    feed, _ = evaluation_order(source, 40, 40)
    assert np.array_equal(taken(source, steps=3, training=False)["index"], feed["index"])
    assert sorted(feed["index"][feed["valid"]]) == list(range(90))
