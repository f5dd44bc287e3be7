"""The flags of several hosts: what does not fit is refused before anything waits."""

import argparse

import pytest

from train import host_flags, hosts
from train.errors import BadInput


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--coordinator=127.0.0.1:1234"], "--process_id: is missing"),
        (["--process_id=0", "--num_processes=2"], "--coordinator: is missing"),
        (
            ["--coordinator=127.0.0.1:1234", "--process_id=2", "--num_processes=2"],
            r"--process_id: 2 is outside \[0, 2\)",
        ),
        (
            ["--coordinator=127.0.0.1", "--process_id=0", "--num_processes=2"],
            "--coordinator: '127.0.0.1' must be HOST:PORT",
        ),
        (
            ["--coordinator=h:1", "--process_id=0", "--num_processes=2", "--heartbeat=0"],
            "--heartbeat: 0 is outside",
        ),
        (
            ["--coordinator=h:70000", "--process_id=0", "--num_processes=2"],
            "--coordinator: 'h:70000' must be HOST:PORT",
        ),
        (["--heartbeat=-4", "--watchdog=0"], r"--heartbeat: -4 is outside \[1, 1000000\]"),
        (["--watchdog=0"], "--watchdog: 0 is outside"),
        (["--num_processes=0"], "--num_processes: 0 is outside"),
        (["--num_processes=1", "--process_id=7"], r"--process_id: 7 is outside \[0, 1\)"),
        (
            ["--num_processes=1", "--process_id=0", "--bind=junk"],
            "--bind: 'junk' must be HOST:PORT",
        ),
        (["--num_processes=1", "--bind=h:1"], "--bind: is of several hosts, .*; leave it out"),
        (
            ["--heartbeat=5"],
            "--heartbeat: is of several hosts, which need --coordinator, --process_id, "
            "--num_processes",
        ),
        (["--num_processes=1", "--watchdog=5"], "--watchdog: is of several hosts"),
    ],
)
def test_flags_that_do_not_fit_are_refused(given, says):
    parser = argparse.ArgumentParser()
    host_flags.add(parser)
    with pytest.raises(BadInput, match=says):
        hosts.initialise(parser.parse_args(given), "test")


def test_a_process_alone_may_be_named_as_one_of_several_is():
    parser = argparse.ArgumentParser()
    host_flags.add(parser)
    for given in ([], ["--num_processes=1"], host_flags.of(1234, 0, 1)):
        hosts.initialise(parser.parse_args(given), "test")
    assert hosts.first() and hosts.share("alone") == ["alone"]
