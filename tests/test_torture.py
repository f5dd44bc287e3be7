"""A short form of scripts.torture: a few kills, each at another moment, and damages to
checkpoints."""

import os
import random
import signal

import pytest

from scripts import torture
from train.errors import BadInput


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "lstm"
    process = torture.start(*torture.RUNS["lstm"], f"--workdir={workdir}")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return workdir


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_ends_with_the_bits_of_one_left_alone_whenever_it_is_ended_and_resumed(
    tmp_path, whole, number
):
    assert torture.kill("lstm", number, 3, whole, tmp_path, random.Random(0))


def test_a_damaged_checkpoint_never_gives_wrong_values(tmp_path, whole):
    assert torture.corrupt("lstm", 5, whole, tmp_path, random.Random(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_full_disk_and_a_read_only_one_end_a_run_in_one_line_and_earlier_checkpoints_stay(
    tmp_path,
):
    assert torture.disk(tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("kind", torture.KINDS)
def test_a_run_that_meets_a_fault_ends_with_the_same_bits_or_is_refused_in_one_line(
    tmp_path, whole, kind
):
    assert torture.KINDS[kind](kind, "lstm", 4, whole, tmp_path, random.Random(2))


@pytest.mark.parametrize("flag", ["--runs=lenet,x", "--kinds=links,x"])
def test_an_unknown_run_or_kind_of_fault_is_refused_with_those_there_are(flag):
    with pytest.raises(BadInput, match=f"{flag.partition('=')[0]}: unknown 'x'; choose from l"):
        torture.main([flag])
