"""Timing that alternates between variants and counts only rounds in which other processes leave the machine alone."""

import os
import time

SECONDS = 0.5  # the least that a variant runs in a round
QUIET = 0.06  # of a core: the most that other processes may use in a round that counts


def cpu_seconds() -> tuple[float, float]:
    """(of the whole machine, of this process) since their starts."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    times = os.times()
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK"), times.user + times.system


def quiet(runs: dict, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Seconds of a call of each of `runs` in each quiet round, and how many rounds were not quiet; the first call compiles."""
    repeats = {}
    for name, run in runs.items():
        run()
        start = time.perf_counter()
        run()
        repeats[name] = max(1, round(SECONDS / (time.perf_counter() - start)))
    times, skipped = {name: [] for name in runs}, 0
    while len(next(iter(times.values()))) < rounds and skipped < 20 * rounds:
        (machine, own), began, measured = cpu_seconds(), time.perf_counter(), {}
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            measured[name] = (time.perf_counter() - start) / repeats[name]
        machine_after, own_after = cpu_seconds()
        if (machine_after - machine - (own_after - own)) / (time.perf_counter() - began) > QUIET:
            skipped += 1
            continue
        for name, seconds in measured.items():
            times[name].append(seconds)
    return times, skipped
