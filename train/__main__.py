"""Trains a config, resumes its run, or evaluates a checkpoint of it.

python -m train --config=FILE[:ARGUMENT] [--workdir=DIR] [--config.KEY=VALUE ...]
    [--eval_only [--checkpoint=WHICH]] [--print_config]
"""

import time

STARTED = time.perf_counter()

from train import host_flags, hosts, interruption, run_flags  # noqa: E402

if __name__ == "__main__":
    interruption.listen("python -m train")

import contextlib  # noqa: E402
import functools  # noqa: E402
import os  # noqa: E402
import shlex  # noqa: E402

from train import paths  # noqa: E402
from train.errors import BadInput, Parser, exit_with, writing_in  # noqa: E402


def prepare_jax() -> None:
    """Sets up CPU devices and the cache of compiled programs, before JAX starts.

    On the CPU there is one device for each core, up to 4. Compiled programs are stored in the
    user's cache folder. XLA_FLAGS and JAX_COMPILATION_CACHE_DIR win where they are set;
    JAX_ENABLE_COMPILATION_CACHE=false switches the cache off.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        # measured on 2 cores; with many devices each one's share of a small batch is too little
        devices = min(cores, 4)
        os.environ["XLA_FLAGS"] = (
            f"{flags} --xla_force_host_platform_device_count={devices}".strip()
        )
    compiled = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if compiled and "://" not in compiled:  # JAX writes to buckets too
        compiled = paths.file_of(compiled, "JAX_COMPILATION_CACHE_DIR")
    elif compiled is None and (cache := paths.cache()):  # None without a home folder
        compiled = cache / "xla"
    if compiled:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def main(arguments: list[str], started: float | None = None) -> int:
    """started: time.perf_counter() when the command began, if that was not now."""
    started = started or time.perf_counter()
    parser = Parser("python -m train", __doc__)
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE[:ARGUMENT]",
        help="a file with get_config(); --config.KEY=VALUE sets a key",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        help="where the run lives: a folder or gs://BUCKET/PATH; default runs/CONFIG",
    )
    parser.add_argument(
        "--eval_only", action="store_true", help="evaluate a checkpoint, write nothing"
    )
    parser.add_argument("--checkpoint", **run_flags.CHECKPOINT)
    parser.add_argument(
        "--print_config", action="store_true", help="print every key with its value, train nothing"
    )
    host_flags.add(parser)
    flags, rest = parser.parse_known_args(arguments)
    prepare_jax()
    hosts.initialise(flags, parser.prog)
    from configs import load as configs
    from train import config_file, examples, history, report, resumption, run_notes
    from train import experiment as experiments

    changes = configs.from_command_line(rest, (f"--{flag}" for flag in vars(flags)))
    name, config = configs.load(flags.config, changes)
    if flags.print_config:
        if hosts.first():
            print(configs.as_flags(config))
        return 0
    if flags.checkpoint and not flags.eval_only:
        raise BadInput("--checkpoint: needs --eval_only; training resumes from the latest one")
    experiment = experiments.build(config)
    workdir = paths.run_of(f"runs/{name}" if flags.workdir is None else flags.workdir)
    resumption.same_config(workdir, config, eval_only=flags.eval_only, experiment=experiment)
    done = (workdir / report.RESULT).exists() and not flags.eval_only
    done = done and not resumption.longer(workdir, config, experiment)
    if hosts.share(f"{done}")[0] == "True":  # as process 0 sees it
        if hosts.first():
            print(f"{workdir} is done:")
            print(report.show(workdir, report.read(workdir)))
            judged = [
                says
                for key, says in resumption.differing(workdir, config).items()
                if key.startswith("eval.")
            ]
            if judged:
                print(f"judged as it was then ({'; '.join(judged)}); --eval_only judges anew")
        return 0
    examples.check_numbers(config.data.name, experiment.dataset)
    hosts.compare(functools.partial(_facts, experiment, config))
    file, argument = configs.parts(flags.config)
    noted = config_file.notes(file, argument, config.to_dict())
    identity = resumption.Identity(
        configs.as_json(config),
        _data_digest(experiment),
        history.now(experiment.steps, None if history.is_code(file) else noted["digest"]),
        run_notes.handed_over(workdir),
    )
    if flags.eval_only:
        return _evaluate(experiment, identity, workdir, flags.checkpoint or "latest")
    command = shlex.join(
        [
            "python",
            "-m",
            "train",
            f"--config={flags.config.removeprefix(f'{configs.ROOT}/')}",
            *rest,
        ]
    )
    config_file.vouch(noted)
    notes = dict(file=noted, network=run_notes.network(experiment))
    return _train(experiment, name, command, identity, notes, workdir, started)


def _data_digest(experiment) -> str:
    return str(experiment.dataset.metadata.get("digest", "generated"))


def _train(experiment, name, command, identity, notes, workdir, started) -> int:
    from train import lock, loop, report

    header = _header(experiment, name)
    with lock.alone_in(workdir):
        lock.can_write(workdir)
        with writing_in(workdir):
            outcome = loop.run(experiment, workdir, header, identity, notes, started=started)
            if hosts.first():
                document = report.result(experiment, name, command, outcome)
                report.write(workdir, document)
    if hosts.first():
        print(report.show(workdir, document))
    hosts.share()  # no process looks for the result before it is there
    return 0


def _facts(experiment, config) -> dict[str, object]:
    """What must be the same on every host before they train together."""
    import jax

    from configs import base
    from train import history

    facts = {key: str(value) for key, value in base.flatten(config).items()}
    facts |= {
        "the code": history.sources()[:12],
        "its commit": history.git_sha(),
        "jax": jax.__version__,
    }
    facts |= {
        "the digest of the data": _data_digest(experiment)[:12],
        "examples": experiment.dataset.examples,
    }
    facts["an example"] = [
        f"{x.dtype}{list(x.shape[1:])}" for x in jax.tree.leaves(experiment.example_shapes())
    ]
    devices = experiment.layout.devices[experiment.layout.own]
    return facts | {"devices": f"{len(devices)} {devices[0].device_kind}"}


def _evaluate(experiment, identity, workdir, which: str) -> int:
    from train import beginning, history, loop, trained
    from train.checkpoint import Checkpoints
    from train.log import summary
    from train.metrics import finish
    from train.parallel import Program

    if not (workdir / "checkpoints").exists():
        raise BadInput(
            f"--eval_only: no checkpoints in {workdir}; train first, or name the run's --workdir"
        )
    with Checkpoints(workdir / "checkpoints", experiment.checkpoint_keep) as checkpoints:
        say = print if hosts.first() else lambda _: None
        scores = functools.partial(trained.scores, workdir, experiment.task.metric)
        step = checkpoints.chosen(which, scores, say)
        found = beginning.restored(experiment, checkpoints, identity, say, step, eval_only=True)
    if not found:
        raise BadInput(f"--eval_only: no sound checkpoint in {workdir / 'checkpoints'}")
    (state, sums), meta = found
    trained_by = history.extended(meta.get("history", []), meta["step"], identity.made_by)
    with contextlib.closing(Program(experiment)) as program:
        _, totals = loop.evaluate(program, program.start(state, sums))
    lines = [f"step {meta['step']:,} of {workdir}"]
    if len(trained_by) > len(meta.get("history", [])) > 0:
        lines.append(f"changed {history.changes(trained_by)[-1]}")
    for split, sums in totals.items():
        lines += [
            f"{split + '/' + metric:<18} {summary(of)}"
            for metric, of in finish(program.fetch(sums)).items()
        ]
    if hosts.first():
        print("\n".join(lines))
    return 0


def _header(experiment, name) -> list[str]:
    import jax

    from train.layout import SEEDS

    layout, macs = experiment.layout, experiment.multiply_adds
    divided = SEEDS[layout.seeds][0]
    examples = ", ".join(
        f"{count:,} {split}" for split, count in experiment.dataset.examples.items()
    )
    return [
        f"config  {name}: {experiment.steps:,} steps of {experiment.batch_size} examples, "
        f"seeds {', '.join(map(str, experiment.seeds))}",
        f"device  {layout.devices[0].device_kind} x {len(layout.devices)} of {jax.device_count()}"
        + (f", dividing the {divided}" if len(layout.devices) > 1 else "")
        + (f"; seeds by {layout.seeds}" if divided == "batch" else ""),
        f"data    {experiment.dataset.about}: {examples}; digest {_data_digest(experiment)[:12]}",
        f"model   {type(experiment.model).__name__}: {experiment.parameters:,} parameters, "
        f"{2 * macs:,} FLOPs per example "
        "forward (two to a multiply-add)",
    ]


if __name__ == "__main__":
    exit_with(functools.partial(main, started=STARTED), "python -m train")
