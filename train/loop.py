"""run(experiment, ...): the only loop. Its order is fixed: evaluate if due, checkpoint if due,
step."""

import collections
import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable

import jax
import numpy as np
from etils import epath

from train import (
    history,
    hosts,
    interruption,
    lock,
    nonfinite,
    records,
    report,
    resumption,
    run_notes,
    samples,
)
from train import log as log_lib
from train import step as step_lib
from train.checkpoint import Checkpoints, digest, flatten
from train.duration import next_due
from train.errors import BadInput, Interrupted, NonFinite
from train.experiment import Experiment
from train.log import Log, write_whole
from train.metrics import finish
from train.parallel import Program, no_sums
from train.resumption import Identity
from train.state import TrainState
from train.stop import Stop
from train.trained import VOCABULARY


def fresh_state(experiment: Experiment) -> TrainState:
    """The state of every seed before its first step, [S, ...] numpy leaves; each seed's is made
    alone."""
    quickly = {
        "xla_backend_optimization_level": 0
    }  # it runs once, and the draws compile in a fraction of the time, bits the same
    init = jax.jit(lambda seed: step_lib.init(experiment, seed), compiler_options=quickly)
    states = [jax.device_get(init(np.int32(seed))) for seed in experiment.seeds]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *states)


def restored(
    experiment: Experiment,
    checkpoints: Checkpoints,
    identity: Identity,
    warn,
    step: int | None = None,
    *,
    eval_only: bool = False,
) -> tuple[tuple, dict] | None:
    """((state, sums), meta) of the newest sound checkpoint, or of that of `step`. Raises BadInput
    if it does not fit this code, or is of other data or of another config."""
    try:
        found = checkpoints.restore((experiment.state, no_sums(experiment)), warn, step)
    except ValueError as error:
        raise BadInput(f"--workdir: {error}") from error
    if found:
        resumption.check(found[1], identity, experiment, eval_only)
    return found


def evaluate(program: Program, carry, stopped: Callable[[], bool] = lambda: False):
    """The carry, and {split: totals on the devices}, of each seed or ensemble; each example counted
    once. stopped: as in Program.evaluate."""
    ensembles, totals = program.experiment.ensemble > 1, {}
    judge, judged = program.ensembles(carry) if ensembles else (program, carry)
    for split in program.experiment.dataset.evals:
        judged, totals[split] = judge.evaluate(judged, split, stopped)
    return carry if ensembles else judged, totals


def run(
    experiment: Experiment,
    workdir: epath.Path,
    header,
    identity: Identity,
    notes: dict,
    *,
    started: float,
) -> dict:
    """Trains to the last step, from the newest checkpoint in `workdir` if there is one.

    header: lines to say before anything is compiled. notes: what run.json is to hold.
    started: time.perf_counter() when the command began.
    Where experiment.stop names a metric, it ends earlier: at the first checkpoint by which every
    seed was done.
    Returns {"metrics": {"test/error": [S], ...}, "seconds": of training and evaluation, over all
    sessions of the run, "steps", "stopped": the step at which each seed was done, or None,
    "history": as of history.extended}.
    Raises Interrupted after a signal, once what is new is saved; NonFinite; NotWritten; and
    OSError.
    """
    warnings = []
    if hosts.first():
        _room_for(experiment.state, workdir)
    with (
        interruption.held(),
        Checkpoints(workdir / "checkpoints", experiment.checkpoint_keep) as checkpoints,
    ):
        found = restored(experiment, checkpoints, identity, warnings.append)
        (state, sums), meta = found or (
            (fresh_state(experiment), None),
            {"seconds": 0.0, "spent": 0.0, "step": 0},
        )
        resumed_at, before = meta["step"], meta.get("history", [])
        meta["history"] = history.extended(before, resumed_at, identity.made_by)
        if found and "config" not in meta and not (workdir / "config.json").exists():
            warnings.append(
                "no config.json is there, and this checkpoint is from before checkpoints held "
                "their config: the config of this command is taken for that of the run"
            )
        if len(meta["history"]) > len(before) > 0:
            warnings.append(f"changed {history.changes(meta['history'])[-1]}")
        again = (
            resumed_at == experiment.steps
            or _due(resumed_at, experiment.eval_every)
            or bool(experiment.stop.metric)
        )
        if found and hosts.first():
            file, lines = workdir / log_lib.FILE, log_lib.read(workdir)
            records.check(file, lines, resumed_at, again, meta.get("records"))
        hosts.compare(
            lambda: {
                "the step to go on from": resumed_at,
                "the state there": digest(flatten(state, sums or {})),
            }
        )
        checkpoints.discard_after(resumed_at)
        if hosts.first():
            if (workdir / report.RESULT).exists():  # a run that trains on is not done
                (workdir / report.RESULT).unlink()
            run_notes.write(workdir, **notes)
            write_whole(workdir / "config.json", identity.config)
            for name, vocabulary in experiment.dataset.vocabularies.items():
                write_whole(workdir / f"{name}{VOCABULARY}", vocabulary.to_json())
        with Log(workdir, steps=experiment.steps, resumed_at=resumed_at, evaluates=again) as log:
            for line in [*header, *warnings]:
                log.say(line)
            log.say(
                f"run     {workdir}: "
                + (f"resuming at step {resumed_at:,}" if found else "starting fresh")
            )
            with contextlib.closing(Program(experiment)) as program:
                return _loop(program, state, sums, meta, checkpoints, log, identity, started)


def _due(step: int, every: float) -> bool:
    return step > 0 and next_due(step - 1, every) == step


def _room_for(state: TrainState, workdir: epath.Path) -> None:
    """Raises BadInput where the memory has no room for the state, or a local disk none for one
    checkpoint more: noticed here, not after hours."""
    needed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < needed:
        size = f"the state of all seeds takes {needed / 1e9:,.1f} GB, this machine has {memory / 1e9:,.1f} GB"
        raise BadInput(f"model: {size}; have a smaller model, or fewer seeds")
    folder = workdir / "checkpoints"  # which may be a link to another disk
    free = needed if "://" in str(workdir) else shutil.disk_usage(folder).free
    if free < needed:
        size = f"{free / 1e6:.1f} MB free, a checkpoint takes {needed / 1e6:.1f} MB"
        raise BadInput(f"--workdir: {folder} has {size}; free some, or use another --workdir")


def _loop(program, state, sums, meta, checkpoints, log, identity, started) -> dict:
    experiment = program.experiment
    carry = program.start(state, sums)
    begun, waiting = time.perf_counter() - meta["seconds"], collections.deque()
    # seconds of training since the sums were taken: until `since`
    spent, since = meta.get("spent", 0.0), time.perf_counter()
    step = resumed_at = saved = meta["step"]
    stop = experiment.stop
    # a checkpoint is the best: lower is better
    judge, judged_by = next(iter(experiment.dataset.evals)), experiment.task.metric
    pending, latest = [], {}
    scores = records.scores(log.records, judge, judged_by)
    known = _done(log.records, stop, len(experiment.seeds)).tolist(), [*scores.items()]
    known = json.loads(hosts.share(json.dumps(known))[0])  # as process 0 reads its own file
    done = np.array(known[0])
    checkpoints.scores |= dict(known[1])

    def due(every: float) -> bool:
        return step == experiment.steps or _due(step, every)

    @contextlib.contextmanager
    def beside_training():
        """What is done within is no time of training's."""
        nonlocal spent, since
        spent += time.perf_counter() - since
        yield
        since = time.perf_counter()

    def write_pending():
        """Totals are read only after the next dispatch, so the devices never wait for it."""
        nonlocal spent
        for at, split, totals in pending:
            training = split == "train"
            with contextlib.nullcontext() if training else beside_training():
                totals = program.fetch(totals)
            metrics, extra = finish(totals), {}
            if training:
                end_if_nonfinite(at, None, totals)
                with beside_training():
                    extra = {
                        "examples_per_s": totals["steps"].sum() * experiment.batch_size / spent
                    }
                    spent = 0.0
            else:
                latest.update({f"{split}/{name}": value for name, value in metrics.items()})
                if split == judge:
                    checkpoints.scores[at] = records.mean(metrics[judged_by])
            log.record(at, split, metrics, **extra)
            if stop.metric.startswith(f"{split}/") and not stop.last:
                done[:] |= metrics[stop.metric.partition("/")[2]] <= stop.at_most
        pending.clear()

    def end_if_nonfinite(at: int, state: TrainState | None, sums):
        if not nonfinite.bad_seeds(state, sums).any():
            return
        checkpoints.wait()
        found = restored(experiment, checkpoints, identity, log.say)
        good, first = (found[0][0], found[1]["step"]) if found else (fresh_state(experiment), 0)
        log.say(
            f"the loss or its gradient is not finite by step {at:,}; looking for where, from step "
            f"{first:,}"
        )
        where = nonfinite.explain(program, good, first, at, done)
        kept = (
            f"the checkpoint of step {first:,} is good" if found else "there is no checkpoint yet"
        )
        raise NonFinite(
            f"the loss or its gradient is not finite {where}; {kept}; lower optim.lr, set "
            "optim.clip_norm, or "
            "optim.skip_nonfinite=true"
        )

    def save():
        nonlocal meta, saved
        host = program.fetch(carry)
        with beside_training():
            lock.confirm()
            log.flush()
            meta = {
                "seconds": time.perf_counter() - begun,
                "spent": spent,
                "data": identity.data,
                "config": json.loads(identity.config),
                "history": meta["history"],
                "records": log.up_to(step),
            }
            end_if_nonfinite(step, *host)
            checkpoints.save(step, host, meta)
        saved = step

    def end_if_requested():
        """The checkpoint between two regular ones holds the sums not yet logged, and is taken
        before its step is evaluated."""
        if interruption.requested(step):
            write_pending()
            if step > saved:
                save()
            raise Interrupted(f"interrupted at step {step:,}; the same command goes on from there")

    def evaluate_all():
        nonlocal carry
        jax.block_until_ready([ticket for _, ticket in waiting])  # whose time is training's
        with beside_training():
            carry, totals = evaluate(program, carry, lambda: interruption.requested(step))
        end_if_requested()
        pending.extend((step, split, of) for split, of in totals.items())
        with beside_training():
            for line in samples.lines(experiment, lambda: program.state(carry)):
                log.say(f"sample  {line}")

    while True:
        boundary = due(experiment.checkpoint_every)
        if step > resumed_at and (due(experiment.log_every) or boundary):
            carry, totals = program.take_sums(carry)
            pending.append((step, "train", totals))
        end_if_requested()
        evaluating = due(experiment.eval_every)
        if evaluating:
            evaluate_all()
        judged = not stop.last and any(
            stop.metric.startswith(f"{split}/") for _, split, _ in pending
        )
        if boundary or judged:  # a seed that is done takes no further step
            write_pending()
        if boundary and stop.last:
            done = stop.met(*program.fetch((carry[0].stop, carry[0].step)))
        last = step == experiment.steps or (boundary and bool(done.all()))
        if last and not evaluating:
            evaluate_all()
            write_pending()
        if boundary and step > resumed_at:
            save()
        if last:
            steps_of_seeds = program.fetch(carry[0].step)
            stopped = [
                int(at) if yes else None for at, yes in zip(steps_of_seeds, done, strict=True)
            ]
            return {
                "metrics": latest,
                "seconds": time.perf_counter() - begun,
                "steps": step,
                "stopped": stopped,
                "history": meta["history"],
            }
        cadences = (experiment.log_every, experiment.eval_every, experiment.checkpoint_every)
        until = min(experiment.steps, *(next_due(step, every) for every in cadences))
        steps = min(until - step, experiment.steps_per_dispatch)
        carry, ticket = program.train(carry, step, steps, done)
        if started is not None:
            log.say(
                f"start   {time.perf_counter() - started:.1f} s from the command to its first step"
            )
            started = None
        step += steps
        waiting.append((step, ticket))
        write_pending()
        if len(waiting) > 1:  # at most two dispatches are under way
            at, ticket = waiting.popleft()
            jax.block_until_ready(ticket)
            log.progress(at)


def _done(records: list[dict], stop: Stop, seeds: int) -> np.ndarray:
    """Which seeds had a record that was low enough, bool [S]."""
    if stop.last:
        return np.zeros(seeds, bool)
    split, _, name = stop.metric.partition("/")
    values = [
        [np.nan if v is None else v for v in r[name]]
        for r in records
        if r["split"] == split and name in r
    ]
    return (np.array(values).reshape(-1, seeds) <= stop.at_most).any(axis=0)
