"""Speed, as ratios of medians over alternating rounds; each figure with its command's name, on the device it names.

python -m scripts.bench startup     seconds from the command to the end of the first steps, cold and warm compile cache
python -m scripts.bench loop        replicated dispatch against plain jit; the loop against back-to-back dispatches
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

CONFIGS = ("configs/lenet_fashion_mnist.py", "configs/lstm_japanese_vowels.py", "configs/lstm_adding.py:T=200")


def startup(rounds: int) -> None:
    """A real process each time. Cold: an empty compile cache. Warm: the median of the runs after it."""
    for config in CONFIGS:
        seconds = []
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{folder}/xla"}
            for i in range(rounds + 1):
                flags = ["--config.optim.steps=60", "--config.data.source=embedded"][: 1 + ("fashion" in config)]
                command = [sys.executable, "-m", "train", f"--config={config}", f"--workdir={folder}/{i}", *flags]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                seconds.append(float(re.search(r"([\d.]+) s from the command", done.stdout)[1]))
        print(f"{config:<36} cold {seconds[0]:.1f} s   warm {statistics.median(seconds[1:]):.1f} s (median of {rounds})")


def loop(rounds: int) -> None:
    """One seed on one device, so that nothing but the machinery differs."""
    from train.__main__ import prepare_jax

    prepare_jax()
    import jax

    from configs import load
    from train import experiment, parallel
    from train.loop import fresh_state

    for config in CONFIGS:
        changes = {"seeds": (0,), "parallel.devices": 1, "steps_per_dispatch": 10}
        if "fashion" in config:
            changes["data.source"] = "embedded"
        e = experiment.build(load.load(config, changes)[1])
        program = parallel.Program(e)
        alone = parallel.Program(experiment.build(load.load(config, changes | {"parallel.split": "seeds"})[1]))
        body = parallel._each_seed(alone._train_body, "map")
        jitted = jax.jit(lambda carry, own, shared, body=body: body(carry, own, shared), donate_argnums=0)
        state, source = fresh_state(e), e.dataset.train
        index = parallel.training_order(source, 0, 0, 10, e.batch_size)[None]
        own, shared = program._divide(index=index), program._shared(source, 10)
        plain_own = jax.tree.map(lambda x: x[0], own)
        carries = dict(pmap=program.start(state), jit=jax.device_put(program.start(state)), loop=program.start(state))

        def once(how):
            start = time.perf_counter()
            for i in range(10):
                if how == "pmap":
                    carries[how], _ = program._train(carries[how], own, shared)
                elif how == "jit":
                    carries[how] = jitted(carries[how], plain_own, shared)
                else:
                    carries[how], _ = program.train(carries[how], 10 * i, 10)
            jax.block_until_ready(carries[how])
            return time.perf_counter() - start

        times = {how: [] for how in carries}
        for _ in range(rounds + 1):
            for how in times:
                times[how].append(once(how))
        ratio = {h: statistics.median(a / b for a, b in zip(times[h], times["jit"], strict=True)) for h in times}
        fed = statistics.median(a / b for a, b in zip(times["loop"][1:], times["pmap"][1:], strict=True))
        step = statistics.median(times["pmap"][1:]) / 100 * 1000
        device = jax.devices()[0].device_kind
        print(
            f"{config:<36} {device} x 1  {step:.2f} ms a step;  replicated / plain jit {ratio['pmap']:.3f};  "
            f"fed by the host / not fed {fed:.3f}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("what", choices=("startup", "loop"))
    parser.add_argument("--rounds", type=int, default=7)
    flags = parser.parse_args()
    dict(startup=startup, loop=loop)[flags.what](flags.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
