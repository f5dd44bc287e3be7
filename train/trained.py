"""What a run has learned, read from its workdir alone: the hyper-parameters, each seed's variables,
the vocabularies."""

import json
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.traverse_util import unflatten_dict

from train.data.vocabulary import Vocabulary
from train.errors import BadInput

VOCABULARY = ".vocabulary.json"


class Trained(NamedTuple):
    """model: the name in architectures.MODELS; options: its hyper-parameters and dtype; data: those
    of the data; variables: one dict for each seed, the parameters averaged where the run evaluates
    averages; vocabularies: by name."""

    model: str
    options: dict
    data: dict
    variables: list[dict]
    vocabularies: dict[str, Vocabulary]


def load(workdir: epath.Path, warn) -> Trained:
    """Of the newest sound checkpoint; one passed over is reported through warn(text). Raises
    BadInput if there is none."""
    from train.checkpoint import Checkpoints  # Orbax takes a second to import

    try:
        config = json.loads((workdir / "config.json").read_text())
        model, data, seeds = config["model"], dict(config["data"]), range(len(config["seeds"]))
        options = {
            key: tuple(v) if isinstance(v, list) else v for key, v in model.items() if key != "name"
        }
        options["dtype"] = jnp.dtype(config.get("dtype", "float32"))
        name = model["name"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{workdir}: no run with a readable config.json ({error})") from None
    if not (workdir / "checkpoints").exists():
        raise BadInput(f"{workdir}: no checkpoint")
    try:
        with Checkpoints(workdir / "checkpoints", 1) as checkpoints:
            found = checkpoints.arrays(warn)
    except ValueError as error:
        raise BadInput(error) from None
    if found is None:
        raise BadInput(f"{workdir}: no checkpoint")
    files = sorted(path for path in workdir.iterdir() if path.name.endswith(VOCABULARY))
    vocabularies = {path.name.removesuffix(VOCABULARY): _vocabulary(path) for path in files}
    return Trained(name, options, data, [_variables(found[0], s) for s in seeds], vocabularies)


def _vocabulary(path: epath.Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(path.read_text())
    except (OSError, ValueError) as error:  # BadInput is a ValueError too
        raise BadInput(f"{path}: {error}") from None


def _variables(arrays: dict[str, np.ndarray], seed: int) -> dict:
    averages = {
        name.partition("/average/")[2]: value
        for name, value in arrays.items()
        if "/average/" in name
    }
    variables = {}
    for name, value in arrays.items():
        kind, _, rest = name.partition("/")
        if kind == "params":
            variables[name] = averages.get(rest, value)[seed]
        # what was read last is not learned
        elif kind == "model_state" and not rest.startswith("memory/"):
            variables[rest] = value[seed]
    return unflatten_dict(variables, sep="/")
