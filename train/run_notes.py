"""run.json: what a run remembers for the commands that come after it."""

import json

from train.log import write_whole

FILE = "run.json"


def read(workdir) -> dict:
    """{} for a run from before there was one. Raises BadInput where it is damaged."""
    from train.resumption import read_json

    return read_json(workdir / FILE) if (workdir / FILE).exists() else {}


def write(workdir, **notes) -> None:
    """Adds these to what it has."""
    text = json.dumps(read(workdir) | notes, indent=2, sort_keys=True)
    write_whole(workdir / FILE, text + "\n")


def handed_over(workdir) -> int | None:
    """The step of the checkpoint with which this run began, where it is another run's."""
    return read(workdir).get("handed_over")
