"""run.json: what a run notes for later commands."""

import json

import jax
import numpy as np

from train.errors import BadInput
from train.log import write_whole

FILE = "run.json"


def read(workdir) -> dict:
    """The contents of run.json; {} for an older run, which has no such file.

    Raises BadInput where it is damaged.
    """
    from train.resumption import read_json

    return read_json(workdir / FILE) if (workdir / FILE).exists() else {}


def write(workdir, **notes) -> None:
    """Adds entries to the file."""
    text = json.dumps(read(workdir) | notes, indent=2, sort_keys=True)
    write_whole(workdir / FILE, text + "\n")


def network(experiment) -> dict:
    """What is needed to build the network without the data.

    Its sizes, the names of the classes, and the shape and dtype of one example.
    """
    data, example = experiment.dataset, experiment.example_shapes()
    read = {name: example[name] for name in ("input", "mask")}
    return dict(
        inputs=data.inputs,
        targets=data.targets,
        outputs=data.outputs,
        symbols=data.symbols,
        classes=list(data.classes),
        example=jax.tree.map(lambda x: [list(x.shape), str(x.dtype)], read),
    )


def example(notes: dict):
    """The inputs and the mask that `network` noted, numpy zeros, [1, ...]. Raises BadInput."""

    def zeros(entry):
        if isinstance(entry, dict):
            return {name: zeros(inner) for name, inner in entry.items()}
        shape, dtype = entry
        return np.broadcast_to(np.zeros([], dtype), shape)

    try:
        return zeros(notes["example"]["input"]), zeros(notes["example"]["mask"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{FILE}: its example is damaged ({error})") from None


def handed_over(workdir) -> int | None:
    """The step of the checkpoint that this run began with, if it came from another run."""
    return read(workdir).get("handed_over")
