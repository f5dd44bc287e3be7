"""The flags by which processes on several hosts find each other; see train/hosts.py."""

import glob
import importlib.util
import os
import re
import socket

from train.errors import BadInput

HEARTBEAT, WATCHDOG = 60, 1800  # s, where the flags are not given
MOST = 1_000_000  # processes or seconds: the limits of C's and JAX's numbers
THREE = ("--coordinator", "--process_id", "--num_processes")


def add(parser) -> None:
    group = parser.add_argument_group(
        "several hosts", "the same command on each; on Cloud TPU without any of these"
    )
    group.add_argument(
        "--coordinator", metavar="HOST:PORT", help="an address and a free port of process 0's host"
    )
    group.add_argument(
        "--process_id",
        type=int,
        metavar="I",
        help="0 to N - 1; process 0 writes the log and the result",
    )
    group.add_argument(
        "--num_processes", type=int, metavar="N", help="1: this host alone, on Cloud TPU too"
    )
    group.add_argument(
        "--bind",
        metavar="HOST:PORT",
        help="where process 0 listens, if not at --coordinator; 0.0.0.0: everywhere",
    )
    group.add_argument(
        "--heartbeat",
        type=int,
        metavar="S",
        help=f"a process silent for so many seconds is lost (default {HEARTBEAT})",
    )
    group.add_argument(
        "--watchdog",
        type=int,
        metavar="S",
        help=f"ends a process stuck for so many seconds (default {WATCHDOG})",
    )


def of(port: int, process: int, processes: int) -> list[str]:
    """The flags of one process, where all run on this machine."""
    return [
        f"--coordinator=127.0.0.1:{port}",
        f"--process_id={process}",
        f"--num_processes={processes}",
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def alone(flags) -> bool:
    """Whether the flags describe a single process.

    Raises BadInput where some are missing, or have an impossible value.
    """
    missing = [flag for flag in THREE if getattr(flags, flag[2:]) is None]
    for name in ("num_processes", "heartbeat", "watchdog"):
        value = getattr(flags, name)
        if value is not None and not 1 <= value <= MOST:
            raise BadInput(f"--{name}: {value} is outside [1, {MOST}]")
    processes = flags.num_processes or MOST
    if flags.process_id is not None and not 0 <= flags.process_id < processes:
        raise BadInput(f"--process_id: {flags.process_id} is outside [0, {processes})")
    for name in ("coordinator", "bind"):
        value = getattr(flags, name)
        host, _, port = (value or "").rpartition(":")
        if value is not None and not (
            host and re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 2**16
        ):
            raise BadInput(f"--{name}: {value!r} must be HOST:PORT, such as 127.0.0.1:8476")
    if 0 < len(missing) < 3 and flags.num_processes != 1:
        raise BadInput(f"{missing[0]}: is missing; several hosts need {', '.join(THREE)}")
    if flags.num_processes != 1 and (not missing or _on_cloud_tpu()):
        return False
    for name in ("bind", "heartbeat", "watchdog"):
        if getattr(flags, name) is not None:
            raise BadInput(
                f"--{name}: is of several hosts, which need {', '.join(THREE)}; leave it out"
            )
    return True


def _on_cloud_tpu() -> bool:
    wanted = os.environ.get("JAX_PLATFORMS", "tpu").split(",")
    chips = glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*")
    return bool(chips) and "tpu" in wanted and importlib.util.find_spec("libtpu") is not None
