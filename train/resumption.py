"""Whether a run may be resumed: only with the config and the data that it began with.

Only keys that do not change what is learned may differ, and training may become longer.
"""

import inspect
import json
from typing import NamedTuple

from train import documents, escapes
from train.duration import resolver
from train.errors import BadInput

RESULT_FREE = (  # may change when a run is resumed
    *("checkpoint.", "eval.", "log.", "parallel."),
    *("steps_per_dispatch", "optim.skip_nonfinite", "data.workers"),
)


class Identity(NamedTuple):
    """What a command trains.

    config: the text of config.json. data: the digest of the data. made_by: as in history.now.
    handed_over: the step of the checkpoint that another run of a sweep gave this one to begin with;
    that checkpoint has the other run's config.
    """

    config: str
    data: str
    made_by: dict
    handed_over: int | None = None


def check(meta: dict, identity: Identity, experiment, eval_only: bool = False) -> None:
    """Raises BadInput if a checkpoint was trained on other data or with another config.

    meta: the notes of the checkpoint.
    """
    if meta["data"] != identity.data:
        raise BadInput(
            f"--workdir: this run was trained on other data (digest {meta['data'][:12]}, now "
            f"{identity.data[:12]}); name its data.source, or use a new --workdir"
        )
    # checkpoints from before they stored their config have none
    if "config" in meta and meta["step"] != identity.handed_over:
        where = f"the checkpoint of step {meta['step']:,} is of a run"
        _refuse(where, meta["config"], json.loads(identity.config), (), eval_only, experiment)


def same_config(
    workdir, config, but: tuple[str, ...] = (), eval_only: bool = False, experiment=None
) -> None:
    """Raises BadInput if the workdir belongs to a run of another config, naming the keys.

    but: keys among those of RESULT_FREE that may not differ either. eval_only: nothing is trained,
    so no stop is looked for. experiment: the one built from `config`, which may train longer than
    the run in the workdir; without it optim.steps may not differ.
    """
    before = config_of(workdir)
    if before is not None:
        _refuse(
            f"{workdir} holds a run",
            before,
            json.loads(config.to_json()),
            but,
            eval_only,
            experiment,
        )


def _refuse(where: str, before: dict, now: dict, but, eval_only: bool, experiment) -> None:
    values, differing = _flat(now), changed(before, now)
    # a seed may be done at each record of this metric
    stop = "" if values["stop.last"] or eval_only else values["stop.metric"]
    # these keys decide when there is a record
    bound = ("log.every", "checkpoint.every") if stop.startswith("train/") else "eval."
    free = {
        key
        for key in differing
        if key.startswith(RESULT_FREE) and not (stop and key.startswith(bound))
    } - {*but}
    if "optim.steps" in differing and experiment:
        steps = _steps(before, now, experiment)
        why = "" if eval_only else _not_longer(steps, experiment.steps, values["schedule.name"])
        differing["optim.steps"] += why
        free |= set() if why else {"optim.steps"}
    refused = [text for key, text in differing.items() if key not in free]
    if refused:
        raise BadInput(
            f"--workdir: {where} of another config ({'; '.join(refused)}); use another --workdir"
        )


def _steps(before: dict, now: dict, experiment) -> int:
    """The number of steps in the config `before`; `experiment` is the one built from `now`."""
    per_epoch = experiment.dataset.train.steps_per_epoch(experiment.batch_size)
    return round(resolver(per_epoch)("optim.steps", _with_defaults(before, now)["optim.steps"]))


def _not_longer(before: int, now: int, schedule: str) -> str:
    """Why a run made for `before` steps cannot be trained for `now` steps; "" where it can.

    It can where the result equals that of a run which had `now` steps from the start.
    """
    from train.optim import SCHEDULES

    if now < before:
        return ", fewer than it was made for"
    if now > before and "steps" in inspect.signature(SCHEDULES[schedule]).parameters:
        return f", which changes schedule.name={schedule!r} from the first step on"
    return ""


def longer(workdir, config, experiment) -> bool:
    """Whether the experiment, built from `config`, trains longer than the run in the workdir."""
    before = config_of(workdir)
    now = json.loads(config.to_json())
    return before is not None and _steps(before, now, experiment) < experiment.steps


def differing(workdir, config) -> dict[str, str]:
    """As `changed`, between the run in the workdir and a config."""
    before = config_of(workdir)
    return {} if before is None else changed(before, json.loads(config.to_json()))


def config_of(workdir) -> dict | None:
    """The config of the run in a workdir; None where there is none.

    It is read from config.json or, where that is gone, from the newest checkpoint. Raises BadInput.
    """
    if (workdir / "config.json").exists():
        return read_json(workdir / "config.json")
    from train import run_notes
    from train.checkpoint import newest_notes

    notes = newest_notes(workdir / "checkpoints")
    return None if notes.get("step") == run_notes.handed_over(workdir) else notes.get("config")


def read_json(path) -> dict:
    """The JSON object in a file of a workdir. Raises BadInput."""
    try:
        return documents.read(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"--workdir: {path} is damaged ({error}); use another --workdir") from None


def _flat(config: dict) -> dict:
    from configs import base

    return base.flatten(config)


def _with_defaults(before: dict, now: dict) -> dict:
    """The config `before`, flat; keys that it lacks get their defaults."""
    from configs import base

    return _flat(json.loads(base.defaults(now).to_json())) | _flat(before)


def changed(before: dict, now: dict) -> dict[str, str]:
    """The keys that differ between two configs, as in config.json: key -> 'KEY was A, is B'.

    A key that did not exist when the run began counts as its default there: what the code did
    before there was a choice.
    """
    before, now = _with_defaults(before, now), _flat(now)
    keys = (key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key))
    return {key: f"{key} was {_shown(before.get(key))}, is {_shown(now.get(key))}" for key in keys}


def _shown(value) -> str:
    return escapes.shortened(json.dumps(value), 80)
