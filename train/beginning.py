"""Where a run begins: with a fresh state or with its newest sound checkpoint.

A checkpoint is used only if it belongs to this config, this data and these records.
"""

import math
import os
import shutil
from typing import NamedTuple

import jax
import numpy as np
from etils import epath

from train import history, hosts, log, records, resumption
from train import step as step_lib
from train.checkpoint import Checkpoints, digest, flatten
from train.duration import is_due
from train.errors import BadInput
from train.experiment import Experiment
from train.metrics import Sums
from train.parallel import no_sums
from train.resumption import Identity
from train.state import TrainState


class Beginning(NamedTuple):
    """What a session begins with.

    state: [S, ...] numpy leaves.
    sums: those not yet logged, None for a fresh state.
    meta: the notes of the checkpoint, with its "step" and "history".
    again: whether the evaluation of that step is repeated.
    warnings: lines for the log.
    """

    state: TrainState
    sums: Sums | None
    meta: dict
    again: bool
    warnings: list[str]


def fresh_state(experiment: Experiment) -> TrainState:
    """The state of every seed before its first step, [S, ...] numpy leaves.

    Each seed's state is made alone.
    """
    quickly = {
        "xla_backend_optimization_level": 0
    }  # it runs once; the draws compile much faster this way, with the same bits
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
    """((state, sums), meta) of the newest sound checkpoint, or of the one of `step`.

    Raises BadInput if it does not fit this code, or belongs to other data or another config.
    """
    try:
        found = checkpoints.restore((experiment.state, no_sums(experiment)), warn, step)
    except ValueError as error:
        raise BadInput(f"--workdir: {error}") from error
    if found:
        resumption.check(found[1], identity, experiment, eval_only)
    return found


def begin(
    experiment: Experiment, workdir: epath.Path, checkpoints: Checkpoints, identity: Identity
) -> Beginning:
    """Restores the newest sound checkpoint and deletes the broken ones after it.

    Raises BadInput, also where the processes of a run do not begin alike.
    """
    warnings = []
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
        or is_due(resumed_at, experiment.eval_every)
        or bool(experiment.stop.metric)
    )
    if found and hosts.first():
        file, lines = workdir / log.FILE, log.read(workdir)
        records.check(file, lines, resumed_at, again, meta.get("records"))
    hosts.compare(
        lambda: {
            "the step to go on from": resumed_at,
            "the state there": digest(flatten(state, sums or {})),
        }
    )
    checkpoints.discard_after(resumed_at)
    return Beginning(state, sums, meta, again, warnings)


def room_for(state: TrainState, workdir: epath.Path) -> None:
    """Checks that the state fits in memory, and one more checkpoint on a local disk.

    Raises BadInput here, not after hours of training.
    """
    needed = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < needed:
        size = f"the state of all seeds takes {needed / 1e9:,.1f} GB, this machine has {memory / 1e9:,.1f} GB"
        raise BadInput(f"model: {size}; use a smaller model, or fewer seeds")
    folder = workdir / "checkpoints"  # may be a link to another disk
    free = needed if "://" in str(workdir) else shutil.disk_usage(folder).free
    if free < needed:
        size = f"{free / 1e6:.1f} MB free, a checkpoint takes {needed / 1e6:.1f} MB"
        raise BadInput(f"--workdir: {folder} has {size}; free some, or use another --workdir")
