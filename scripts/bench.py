"""Measures speed, as ratios of medians over alternating rounds, on the device that it names.

Each figure is printed with its command's name.

python -m scripts.bench startup   seconds from the command to the first step, with a cold and a
                                  warm compile cache
python -m scripts.bench loop      replicated dispatch against plain jit; the loop against
                                  back-to-back dispatches
python -m scripts.bench cnn       training steps of the convolutional networks against PyTorch's
                                  (extra `parity`)
python -m scripts.bench rnn       the same for recurrent layers
python -m scripts.bench decode    greedy and beam-5 decoding against a loop in PyTorch
python -m scripts.bench depth     CIFAR ResNets with units in a loop against unrolled: init,
                                  compilation, step
python -m scripts.bench seeds     N seeds in one program, by each layout, against N trainings in
                                  PyTorch
python -m scripts.bench input     streamed photographs against a bare loop that decodes them
                                  (extra `images`)
"""

import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

from scripts import bench_cnn, bench_decode, bench_depth, bench_input, bench_rnn, bench_seeds
from train.errors import BadInput, Parser, exit_with

EMBEDDED = {"configs/lenet_fashion_mnist.py": {"data.source": "embedded"}}
CONFIGS = (
    "configs/lenet_fashion_mnist.py",
    "configs/lstm_japanese_vowels.py",
    "configs/lstm_adding.py:T=200",
)


def startup(rounds: int) -> None:
    """Times the start of a real process.

    Cold: with an empty compile cache. Warm: the median of the later runs.
    """
    from configs import load

    for config in CONFIGS:
        seconds = []
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{folder}/xla"}
            for i in range(rounds + 1):
                flags = [
                    "--config.optim.steps=60",
                    *(f"--config.{k}={v}" for k, v in EMBEDDED.get(config, {}).items()),
                ]
                command = [
                    sys.executable,
                    "-m",
                    "train",
                    f"--config={config}",
                    f"--workdir={folder}/{i}",
                    *flags,
                ]
                done = subprocess.run(
                    command,
                    env=environment,
                    cwd=load.ROOT,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                seconds.append(float(re.search(r"([\d.]+) s from the command", done.stdout)[1]))
        print(
            f"{config:<36} cold {seconds[0]:.1f} s   warm {statistics.median(seconds[1:]):.1f} s "
            f"(median of {rounds})"
        )


def loop(rounds: int) -> None:
    """One seed on one device, so that only the machinery differs."""
    from train.__main__ import prepare_jax

    prepare_jax()
    import jax

    for config in CONFIGS:
        for steps in (1, 10):
            ratios, step = _loop_ratios(config, rounds, steps)
            print(
                f"{config:<36} {jax.devices()[0].device_kind} x 1, {steps:>2} a dispatch: "
                f"{1000 * step:.2f} ms a step;  "
                f"replicated / plain jit {ratios['pmap']:.3f};  fed by the loop / not fed "
                f"{ratios['fed']:.3f}"
            )


def _loop_ratios(config: str, rounds: int, steps: int) -> tuple[dict[str, float], float]:
    """Ratios of the times of 100 steps, medians over rounds, and the seconds of one step.

    steps: those of one dispatch.
    """
    import jax

    from configs import load
    from train import experiment, parallel
    from train.loop import fresh_state

    changes = {"seeds": (0,), "parallel.devices": 1, "steps_per_dispatch": steps} | EMBEDDED.get(
        config, {}
    )
    e = experiment.build(load.load(config, changes)[1])
    program = parallel.Program(e)
    # the same body without an axis over devices and without pmap
    alone = parallel.Program(
        experiment.build(load.load(config, changes | {"parallel.seeds": "devices"})[1])
    )
    plain = jax.jit(parallel.each_seed(alone.train_body, "map"), donate_argnums=0)
    feed, bucket = parallel.training_order(e.dataset.train, 0, 0, steps, e.batch_size)
    own, shared = (
        program.divide(**{k: x[None] for k, x in feed.items()}),
        program.shared(e.dataset.train, steps, bucket),
    )
    plain_own = jax.tree.map(lambda x: x[0], own)
    ways = dict(
        jit=lambda carry, step: plain(carry, plain_own, shared),
        pmap=lambda carry, step: program.compiled(carry, own, shared)[0],
        fed=lambda carry, step: program.train(carry, step, steps)[0],
    )
    carries = {way: program.start(fresh_state(e)) for way in ways}
    times = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first round compiles, and is left out
        for way, dispatch in ways.items():
            start = time.perf_counter()
            for step in range(0, 100, steps):
                carries[way] = dispatch(carries[way], step)
            jax.block_until_ready(carries[way])
            times[way].append(time.perf_counter() - start)

    def median_ratio(a: str, b: str) -> float:
        return statistics.median(x / y for x, y in zip(times[a][1:], times[b][1:], strict=True))

    return dict(
        pmap=median_ratio("pmap", "jit"), fed=median_ratio("fed", "pmap")
    ), statistics.median(times["pmap"][1:]) / 100


OF = dict(models="cnn", variants="cnn", depths="depth", cells="rnn")  # flag -> its only benchmark


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.bench", __doc__)
    parser.add_argument(
        "what", choices=("startup", "loop", "cnn", "rnn", "decode", "depth", "seeds", "input")
    )
    parser.add_argument("--rounds", type=int, default=7, help="that count (default 7)")
    parser.add_argument(
        "--models", metavar="NAME,...", help=f"of cnn: some of {', '.join(bench_cnn.MODELS)}"
    )
    parser.add_argument(
        "--variants", metavar="NAME;...", help=f"of cnn: some of {'; '.join(bench_cnn.VARIANTS)}"
    )
    parser.add_argument(
        "--depths", metavar="N,...", help="of depth: layers; default 20,32,44,56,110,1202"
    )
    parser.add_argument(
        "--cells", metavar="NAME,...", help=f"of rnn: some of {', '.join(bench_rnn.CELLS)}"
    )
    flags = parser.parse_args(arguments)
    if flags.rounds < 1:
        raise BadInput(f"--rounds: {flags.rounds} must be at least 1")
    for flag, what in OF.items():
        if getattr(flags, flag) is not None and flags.what != what:
            raise BadInput(f"--{flag}: of {what}, not of {flags.what}")
    models = _some("--models", flags.models, ",", bench_cnn.MODELS)
    variants = _some("--variants", flags.variants, ";", bench_cnn.VARIANTS)
    cells = _some("--cells", flags.cells, ",", bench_rnn.CELLS)
    depths = (flags.depths or "20,32,44,56,110,1202").split(",")
    for wrong in (d for d in depths if not d.isdecimal() or int(d) % 6 != 2 or int(d) < 8):
        raise BadInput(f"--depths: {wrong!r} is not 6n + 2")
    torch = (
        any(v.startswith("torch") for v in variants)
        if flags.what == "cnn"
        else flags.what in ("rnn", "decode", "seeds")
    )
    if torch and not importlib.util.find_spec("torch"):
        raise BadInput(f"{flags.what}: PyTorch is needed; pip install -e '.[parity]'")
    if flags.what == "input" and not importlib.util.find_spec("cv2"):
        raise BadInput("input: OpenCV is needed; pip install -e '.[images]'")
    commands = dict(
        startup=startup,
        loop=loop,
        cnn=lambda rounds: bench_cnn.compare(models, rounds, variants),
        rnn=lambda rounds: bench_rnn.compare(cells, rounds),
        decode=bench_decode.compare,
        depth=lambda rounds: bench_depth.compare(rounds, [*map(int, depths)]),
        seeds=bench_seeds.compare,
        input=bench_input.compare,
    )
    commands[flags.what](flags.rounds)
    return 0


def _some(flag: str, given: str | None, between: str, have) -> list[str]:
    """The names in a flag; all of `have` without it. Raises BadInput for an unknown one."""
    names = [*have] if given is None else [name.strip() for name in given.split(between)]
    for unknown in sorted(set(names) - set(have)):
        raise BadInput(f"{flag}: unknown {unknown!r}; choose from {(between + ' ').join(have)}")
    return names


if __name__ == "__main__":
    exit_with(main, "python -m scripts.bench")
