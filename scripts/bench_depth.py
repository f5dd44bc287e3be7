"""What depth costs: CIFAR ResNets with their units in a loop, against the same unrolled.

Used by scripts.bench.
"""

import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from configs import load
from scripts import bench_cnn, rounds

BATCH, IMAGE = 32, (32, 32, 3)
WAYS = dict(loop=1, unrolled=9999)  # scan_from
LONGEST_UNROLLED = 110  # layers; compiling 1202 takes many minutes


def prepared(depth: int, scan_from: int):
    """(a function that trains one step, seconds of init, seconds of compilation)."""
    from train.loop import fresh_state

    model = dict(name="resnet_cifar", depth=depth, scan_from=scan_from)
    e = bench_cnn.experiment(model, BATCH, IMAGE, {"steps_per_dispatch": 1})
    start = time.perf_counter()
    state = fresh_state(e)
    initialised = time.perf_counter()
    run = bench_cnn.trainer(e, state)
    return run, initialised - start, time.perf_counter() - initialised


def stepper(depth: int, scan_from: int):
    return prepared(depth, scan_from)[0]


def compare(count: int, depths) -> None:
    """Prints seconds of init and compilation for each depth and way, and the ratio of the steps.

    Each pair is timed in a process of its own.
    """
    from train.__main__ import prepare_jax

    for depth in depths:
        ways = {
            way: scan_from
            for way, scan_from in WAYS.items()
            if way == "loop" or depth <= LONGEST_UNROLLED
        }
        for way, scan_from in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                cold, warm = (_seconds(depth, scan_from, folder) for _ in range(2))
            shown = (
                f"{name} {sum(both):.1f} s (init {both[0]:.1f})"
                for name, both in (("cold", cold), ("warm", warm))
            )
            print(f"ResNet-{depth}, {way}: init and compile {', '.join(shown)}", flush=True)
        prepare_jax()
        if len(ways) > 1:
            makers = {
                way: functools.partial(stepper, depth, scan_from) for way, scan_from in ways.items()
            }
            times, skipped, _ = rounds.quiet(makers, count)
            if not times["loop"]:
                print(f"ResNet-{depth}: no quiet round; other processes use the machine")
                continue
            ratio = statistics.median(
                a / b for a, b in zip(times["loop"], times["unrolled"], strict=True)
            )
            milliseconds, quiet = 1000 * statistics.median(times["loop"]), len(times["loop"])
            print(
                f"ResNet-{depth}, batch {BATCH}: loop {milliseconds:.1f} ms a step, {ratio:.2f} "
                "of unrolled; "
                f"{quiet} quiet rounds of {quiet + skipped}",
                flush=True,
            )


def _seconds(depth: int, scan_from: int, cache: str) -> list[float]:
    """Seconds of init and of compilation, in a process of its own."""
    command = [sys.executable, "-m", "scripts.bench_depth", str(depth), str(scan_from)]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    return json.loads(
        subprocess.run(
            command, env=environment, cwd=load.ROOT, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    )


if __name__ == "__main__":
    from train.__main__ import prepare_jax

    prepare_jax()
    print(json.dumps(prepared(int(sys.argv[1]), int(sys.argv[2]))[1:]))
