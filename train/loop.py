"""run(experiment, ...): the only loop. Its order: evaluate if due, checkpoint if due, step."""

import collections
import contextlib
import json
import time
from collections.abc import Callable

import jax
import numpy as np
from etils import epath

from train import (
    hosts,
    interruption,
    lock,
    nonfinite,
    records,
    report,
    run_notes,
    samples,
)
from train.beginning import begin, fresh_state, restored, room_for
from train.checkpoint import Checkpoints
from train.duration import is_due, next_due
from train.errors import Interrupted, NonFinite
from train.experiment import Experiment
from train.log import Log, write_whole
from train.metrics import finish
from train.parallel import Program
from train.resumption import Identity
from train.state import TrainState
from train.stop import Stop
from train.trained import VOCABULARY


def evaluate(program: Program, carry, stopped: Callable[[], bool] = lambda: False):
    """The carry, and {split: totals on the devices} of each seed or ensemble.

    Each example counts once. stopped: as in Program.evaluate.
    """
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

    header: lines to print before anything is compiled. notes: the contents of run.json.
    started: time.perf_counter() when the command began.
    Where experiment.stop names a metric, the run ends earlier: at the first checkpoint by which
    every seed is done.
    Returns {"metrics": {"test/error": [S], ...}, "seconds": of training and evaluation, over all
    sessions of the run, "steps", "stopped": the step at which each seed was done, or None,
    "history": as in history.extended}.
    Raises Interrupted after a signal, once everything new is saved; NonFinite; NotWritten; and
    OSError.
    """
    if hosts.first():
        room_for(experiment.state, workdir)
    with (
        interruption.held(),
        Checkpoints(workdir / "checkpoints", experiment.checkpoint_keep) as checkpoints,
    ):
        beginning = begin(experiment, workdir, checkpoints, identity)
        resumed_at, again = beginning.meta["step"], beginning.again
        if hosts.first():
            if (workdir / report.RESULT).exists():  # a run that trains further is not done
                (workdir / report.RESULT).unlink()
            run_notes.write(workdir, **notes)
            write_whole(workdir / "config.json", identity.config)
            for name, vocabulary in experiment.dataset.vocabularies.items():
                write_whole(workdir / f"{name}{VOCABULARY}", vocabulary.to_json())
        with Log(workdir, steps=experiment.steps, resumed_at=resumed_at, evaluates=again) as log:
            for line in [*header, *beginning.warnings]:
                log.say(line)
            log.say(
                f"run     {workdir}: "
                + (f"resuming at step {resumed_at:,}" if resumed_at else "starting fresh")
            )
            with contextlib.closing(Program(experiment)) as program:
                return _loop(program, beginning, checkpoints, log, identity, started)


def _loop(program, beginning, checkpoints, log, identity, started) -> dict:
    experiment, meta = program.experiment, beginning.meta
    carry = program.start(beginning.state, beginning.sums)
    begun, waiting = time.perf_counter() - meta["seconds"], collections.deque()
    # seconds of training from when the sums were taken until `since`
    spent, since = meta.get("spent", 0.0), time.perf_counter()
    step = resumed_at = saved = meta["step"]
    stop = experiment.stop
    # the best checkpoint has the lowest score
    judge, judged_by = next(iter(experiment.dataset.evals)), experiment.task.metric
    pending, latest = [], {}
    scores = records.scores(log.records, judge, judged_by)
    known = _done(log.records, stop, len(experiment.seeds)).tolist(), [*scores.items()]
    known = json.loads(hosts.share(json.dumps(known))[0])  # as process 0 reads its own file
    done = np.array(known[0])
    checkpoints.scores |= dict(known[1])

    def due(every: float) -> bool:
        return step == experiment.steps or is_due(step, every)

    @contextlib.contextmanager
    def beside_training():
        """Time spent inside it does not count as training."""
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
        """Saves and ends after a signal.

        A checkpoint between two regular ones holds the sums not yet logged, and is saved before its
        step is evaluated.
        """
        if interruption.requested(step):
            write_pending()
            if step > saved:
                save()
            raise Interrupted(f"interrupted at step {step:,}; the same command goes on from there")

    def evaluate_all():
        nonlocal carry
        jax.block_until_ready([ticket for _, ticket in waiting])  # their time counts as training
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
        if len(waiting) > 1:  # at most two dispatches run at once
            at, ticket = waiting.popleft()
            jax.block_until_ready(ticket)
            log.progress(at)


def _done(records: list[dict], stop: Stop, seeds: int) -> np.ndarray:
    """Which seeds have a record low enough to stop, bool [S]."""
    if stop.last:
        return np.zeros(seeds, bool)
    split, _, name = stop.metric.partition("/")
    values = [
        [np.nan if v is None else v for v in r[name]]
        for r in records
        if r["split"] == split and name in r
    ]
    return (np.array(values).reshape(-1, seeds) <= stop.at_most).any(axis=0)
