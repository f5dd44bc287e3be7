"""Whether a run may be resumed with a config: only keys that change nothing in what is learned may
differ."""

import json

from train import documents, escapes
from train.errors import BadInput

RESULT_FREE = (  # may change when a run is resumed
    *("checkpoint.", "eval.", "log.", "parallel."),
    *("steps_per_dispatch", "optim.skip_nonfinite", "data.workers"),
)


def _read_json(path) -> dict:
    try:
        return documents.read(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"--workdir: {path} is damaged ({error}); use another --workdir") from None


def same_config(workdir, config, but: tuple[str, ...] = (), eval_only: bool = False) -> None:
    """Raises BadInput if the workdir belongs to a run of another config, naming the keys that
    differ.

    but: keys among those of RESULT_FREE that may not differ either. eval_only: nothing is trained,
    so no stop is looked for."""
    now, differing = changed(workdir, config)
    # a seed may be done at each record of it
    stop = "" if now["stop.last"] or eval_only else now["stop.metric"]
    # when there is a record
    bound = ("log.every", "checkpoint.every") if stop.startswith("train/") else "eval."
    free = {
        key
        for key in differing
        if key.startswith(RESULT_FREE) and not (stop and key.startswith(bound))
    } - {*but}
    refused = [text for key, text in differing.items() if key not in free]
    if refused:
        raise BadInput(
            f"--workdir: {workdir} holds a run of another config ({'; '.join(refused)}); use "
            "another --workdir"
        )


def changed(workdir, config):
    """The keys of a config, and of those that differ from the run in the workdir: key -> 'KEY was
    A, is B'.

    A key that did not exist when the run began has its default there: what was done before there
    was a choice.
    """
    from configs import base

    start, now = (base.flatten(json.loads(c.to_json())) for c in (base.defaults(config), config))
    if not (workdir / "config.json").exists():
        return now, {}
    before = start | base.flatten(_read_json(workdir / "config.json"))
    keys = (key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key))
    return now, {
        key: f"{key} was {_shown(before.get(key))}, is {_shown(now.get(key))}" for key in keys
    }


def _shown(value) -> str:
    return escapes.shortened(json.dumps(value), 80)
