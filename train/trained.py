"""What a run has learned, read from its workdir alone.

The hyper-parameters, each seed's variables and the vocabularies.
"""

import functools
import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.errors import FlaxError
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from train import documents, run_notes
from train.data.vocabulary import Vocabulary
from train.errors import BadInput, reason
from train.tasks import TASKS

VOCABULARY = ".vocabulary.json"


class Trained(NamedTuple):
    """A network that a run has trained, and what is needed to use it.

    config: as in config.json. config_file: FILE[:ARGUMENT] that the user named, or None.
    model: the name in architectures.MODELS. options: its hyper-parameters and dtype. data: those of
    the data. variables: one dict for each seed, the parameters averaged where the run evaluates
    averages. vocabularies: by name. step: of the checkpoint. data_digest: of the data that trained
    it. notes: what run.json has about the network, as run_notes.network gives it, {} for a run from
    before there was such a file.
    """

    workdir: epath.Path
    config: dict
    config_file: str | None
    model: str
    options: dict
    data: dict
    variables: list[dict]
    vocabularies: dict[str, Vocabulary]
    step: int
    data_digest: str
    notes: dict

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of their numbers; [] where the data have none."""
        return self.notes.get("classes", [])

    def is_a(self, module: type) -> bool:
        """Whether the network is an instance of this class of Flax modules."""
        constructor = architectures.MODELS[self.model]
        while isinstance(constructor, functools.partial):
            constructor = constructor.func
        return isinstance(constructor, type) and issubclass(constructor, module)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def load(
    workdir: str | epath.Path,
    warn: Callable[[str], None] = _say,
    *,
    checkpoint: str = "latest",
    config_file: str | None = None,
) -> Trained:
    """The network of the newest sound checkpoint, or of the one that `checkpoint` names.

    `checkpoint` is as in --checkpoint. warn(text) reports a checkpoint that is skipped.
    config_file: FILE[:ARGUMENT] that the user named, as in config_file.enter. Raises BadInput if
    there is no sound checkpoint.
    """
    from train import config_file as files
    from train import paths
    from train.checkpoint import Checkpoints, newest_notes  # Orbax takes a second to import

    workdir = paths.run_of(workdir) if isinstance(workdir, str) else workdir
    gone = not (workdir / "config.json").exists()
    config = newest_notes(workdir / "checkpoints").get("config") if gone else None
    try:
        config = config or documents.read(workdir / "config.json")
        kinds = ("model", "cell", *(["task"] if checkpoint == "best" else []))
        files.enter(workdir, config, config_file, warn, kinds)
        model, data, seeds = config["model"], dict(config["data"]), range(len(config["seeds"]))
        options = _options(model, config.get("dtype", "float32"))
        name = model["name"]
    except files.NotEntered:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{workdir}: no run with a readable config.json ({error})") from None
    if not (workdir / "checkpoints").exists():
        raise BadInput(f"{workdir}: no checkpoint")
    try:
        with Checkpoints(workdir / "checkpoints", 1) as checkpoints:
            step = checkpoints.chosen(checkpoint, lambda: scores(workdir, _metric(config)), warn)
            found = checkpoints.arrays(warn, step)
    except ValueError as error:
        raise BadInput(error) from None
    if found is None:
        raise BadInput(f"{workdir}: no checkpoint")
    if any(v.shape[:1] != (len(seeds),) for k, v in found[0].items() if k.startswith("params/")):
        raise BadInput(f"{workdir}: the checkpoint is not of the {len(seeds)} seeds of config.json")
    arrays, meta = found
    _same_network(workdir, config, meta, warn)
    vocabularies = {
        path.name.removesuffix(VOCABULARY): _vocabulary(path)
        for path in sorted(workdir.iterdir())
        if path.name.endswith(VOCABULARY)
    }
    variables = [_variables(arrays, s) for s in seeds]
    notes = run_notes.read(workdir).get("network", {})
    return Trained(
        workdir=workdir,
        config=config,
        config_file=config_file,
        model=name,
        options=options,
        data=data,
        variables=variables,
        vocabularies=vocabularies,
        step=meta["step"],
        data_digest=str(meta.get("data", "")),
        notes=notes,
    )


def _same_network(workdir, config: dict, meta: dict, warn) -> None:
    """Warns where config.json was changed by hand after the checkpoint was saved."""
    before = meta.get("config", config)
    differing = [
        key for key in ("model", "data", "dtype", "seeds") if before.get(key) != config.get(key)
    ]
    if differing and meta["step"] != run_notes.handed_over(workdir):
        warn(
            f"{workdir}: config.json differs from the config of checkpoint {meta['step']:,} in "
            f"{', '.join(differing)}; config.json is taken"
        )


def scores(workdir: epath.Path, metric: str) -> tuple[str, dict[int, float]]:
    """("test/error", {step: mean over seeds}) of the first split that a run evaluates.

    Raises BadInput where records are lost or changed.
    """
    from train import log, records
    from train.checkpoint import newest_notes

    lines, notes = log.read(workdir), newest_notes(workdir / "checkpoints")
    if "records" in notes:
        records.check(workdir / log.FILE, lines, notes["step"], True, notes["records"])
    split = next((r["split"] for r in lines if r["split"] != "train"), "test")
    return f"{split}/{metric}", records.scores(lines, split, metric)


def _metric(config: dict) -> str:
    """Raises ValueError where the section `task` does not name a task."""
    try:
        task = {key: value for key, value in config["task"].items() if key != "name"}
        return TASKS[config["task"]["name"]](**task).metric
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"config.json has no task that could be judged ({error})") from None


def dataset(run: Trained):
    """The data of a run, a train.data.source.Dataset.

    Raises BadInput where they are missing, or are not those that the run was trained on.
    """
    from train import config_file
    from train.data import DATASETS

    config_file.enter(run.workdir, run.config, run.config_file, _say, ("data",))
    options = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in run.data.items()
        if key not in ("name", "batch_size")
    }
    try:
        data = DATASETS[run.data["name"]](**options)
    except BadInput:
        raise
    except (ValueError, TypeError) as error:
        raise BadInput(f"{run.workdir}: its data cannot be had again ({reason(error)})") from None
    digest = str(data.metadata.get("digest", "generated"))
    if run.data_digest not in ("", digest):
        raise BadInput(
            f"{run.workdir}: it was trained on other data (digest {run.data_digest[:12]}, now "
            f"{digest[:12]})"
        )
    return data


def network(run: Trained, inputs=None, **sizes):
    """The network of a run, a Flax module.

    sizes: as in architectures.build; by default those of run.json.
    inputs: an example of its inputs, axes [1, 1, ...]; None: as run.json has it. Raises BadInput
    where config.json, the vocabularies and the checkpoint are not of the same network.
    """
    workdir, mask = run.workdir, np.ones([1, 1], bool)
    if inputs is None:
        if not run.notes:
            raise BadInput(f"{workdir}: has no {run_notes.FILE} that says what its network reads")
        inputs, mask = run_notes.example(run.notes)
    sizes = sizes or {k: run.notes[k] for k in ("outputs", "symbols") if run.notes.get(k)}
    try:
        model = architectures.build(run.model, **sizes, **run.options)
        initialise = functools.partial(model.init, train=False)
        shapes = jax.eval_shape(initialise, jax.random.key(0), inputs, mask)
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
    """The hyper-parameters of the section `model` of a config.json, with later ones at defaults.

    Raises BadInput as the config's own reader does.
    """
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
        return Vocabulary.from_json(path.read_bytes().decode())
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
        # the last batch's memory is not learned
        elif kind == "model_state" and not rest.startswith("memory/"):
            variables[rest] = value[seed]
    return unflatten_dict(variables, sep="/")
