"""What a run has learned, read from its workdir alone: the hyper-parameters, each seed's variables,
the vocabularies."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.errors import FlaxError
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from train import documents
from train.data.vocabulary import Vocabulary
from train.errors import BadInput, reason

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
        config = documents.read(workdir / "config.json")
        model, data, seeds = config["model"], dict(config["data"]), range(len(config["seeds"]))
        options = _options(model, config.get("dtype", "float32"))
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
    if any(v.shape[:1] != (len(seeds),) for k, v in found[0].items() if k.startswith("params/")):
        raise BadInput(f"{workdir}: the checkpoint is not of the {len(seeds)} seeds of config.json")
    files = sorted(path for path in workdir.iterdir() if path.name.endswith(VOCABULARY))
    vocabularies = {path.name.removesuffix(VOCABULARY): _vocabulary(path) for path in files}
    return Trained(name, options, data, [_variables(found[0], s) for s in seeds], vocabularies)


def network(run: Trained, workdir, inputs, **sizes):
    """The network of a run, a Flax module, with `sizes` as architectures.build takes them.

    inputs: an example of what it is called with, axes [1, 1, ...]. Raises BadInput where
    config.json, the vocabularies and the checkpoint are not of one network.
    """
    try:
        model = architectures.build(run.model, **sizes, **run.options)
        initialise = functools.partial(model.init, train=False)
        shapes = jax.eval_shape(initialise, jax.random.key(0), inputs, np.ones([1, 1], bool))
    except (ValueError, TypeError, OverflowError, FlaxError) as error:
        raise BadInput(f"{workdir}: its config.json is of no network ({reason(error)})") from None
    needed = flatten_dict({k: v for k, v in shapes.items() if k != "memory"}, sep="/")
    for variables in run.variables:
        there = flatten_dict(variables, sep="/")
        for name in sorted(needed.keys() | there.keys()):
            wanted, has = (x[name].shape if name in x else None for x in (needed, there))
            if wanted != has:
                raise BadInput(
                    f"{workdir}: the checkpoint's {name} has shape {has}, config.json and the "
                    f"vocabularies are of one of shape {wanted}"
                )
    return model


def _options(model: dict, dtype: str) -> dict:
    """The hyper-parameters of the section `model` of a config.json, with those that did not exist
    when it was written. Raises BadInput as the config's own reader does."""
    from configs import base

    values = {key: tuple(v) if isinstance(v, list) else v for key, v in model.items()}
    config = base.get_config()
    with config.unlocked():
        config.model = {**base.section("model", model["name"]).to_dict(), **values}
        config.dtype = dtype
    base.validate(config)
    options = {key: value for key, value in config.model.to_dict().items() if key != "name"}
    return options | {"dtype": jnp.dtype(dtype)}


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
