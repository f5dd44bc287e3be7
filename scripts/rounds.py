"""Timing that alternates between variants and counts only quiet rounds.

In a quiet round other processes leave the machine alone.
"""

import concurrent.futures
import contextlib
import multiprocessing
import os
import time

SECONDS = 0.5  # the shortest time that a variant runs in a round
QUIET = 0.06  # of a core: the most that other processes may use in a round that counts

_run = None  # what a variant's process times


def cpu_seconds(processes) -> tuple[float, float]:
    """CPU seconds (of the whole machine, of these processes) since their starts."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    own = 0
    for process in processes:
        with open(f"/proc/{process}/stat") as file:
            own += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))  # utime and stime
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"), own / os.sysconf(
        "SC_CLK_TCK"
    )


def quiet(makers: dict, rounds: int) -> tuple[dict[str, list[float]], int, dict[str, int]]:
    """(seconds per call of each variant in each quiet round, how many rounds were not quiet, MB).

    MB is the most memory that each variant held.

    makers: variant -> a function that spawn can send, which makes what is timed. Each variant runs
    in a process of its own, as in real use: side by side, one variant's allocator and threads would
    change the other's times. The first call compiles.
    """
    times, skipped = {name: [] for name in makers}, 0
    with contextlib.ExitStack() as stack:
        context = multiprocessing.get_context("spawn")
        pools = {
            name: stack.enter_context(
                concurrent.futures.ProcessPoolExecutor(1, context, _start, (make,))
            )
            for name, make in makers.items()
        }
        processes = [os.getpid(), *(pool.submit(os.getpid).result() for pool in pools.values())]
        repeats = {}
        for name, pool in pools.items():
            pool.submit(_call, 1).result()
            repeats[name] = max(1, round(SECONDS / pool.submit(_call, 1).result()))
        while len(next(iter(times.values()))) < rounds and skipped < 20 * rounds:
            (machine, own), began = cpu_seconds(processes), time.perf_counter()
            measured = {
                name: pool.submit(_call, repeats[name]).result() for name, pool in pools.items()
            }
            machine_after, own_after = cpu_seconds(processes)
            if (machine_after - machine - (own_after - own)) / (
                time.perf_counter() - began
            ) > QUIET:
                skipped += 1
                continue
            for name, seconds in measured.items():
                times[name].append(seconds)
        return times, skipped, {name: pool.submit(_peak).result() for name, pool in pools.items()}


def _start(make) -> None:
    global _run
    _run = make()


def _call(repeats: int) -> float:
    """Seconds per call, over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        _run()
    return (time.perf_counter() - start) / repeats


def _peak() -> int:
    """The most MB that this process has held so far, compilation included."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024
