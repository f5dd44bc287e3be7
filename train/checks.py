"""Checks of which parts of a config work together.

Every check raises BadInput, one line with the key in it.
"""

import inspect
import math

import jax
import jax.numpy as jnp

import architectures
from train import tasks
from train.errors import BadInput
from train.layout import SEEDS
from train.stop import SLIDING

# of outputs [B, O] or [B, T, O], by the kind of targets
RANK = {"class": 2, "real": 2, "classes": 3, "reals": 3}
# names and criteria of tasks that apply the softmax or the logistic function themselves
OF_LOGITS = ("classify", "language_model", "cross_entropy")


def of_outputs(outputs, batch, dataset, task) -> None:
    """Compares the shape of a model's outputs with the targets of the data.

    Raises ValueError where a model answers once per sequence and the targets are per time step, or
    the reverse; and, for an `exact` task, where an answer does not have Dataset.outputs numbers.
    """
    targets, rank = dataset.targets, jax.tree.leaves(outputs)[0].ndim
    if targets in RANK and rank != RANK[targets]:
        fits = ("'sequence_readout'", "'tagger'")[RANK[targets] - 2]
        says = ("once a sequence", "every time step")
        raise ValueError(
            f"it answers {says[rank - 2]}, the targets are {says[RANK[targets] - 2]}; set "
            f"model.name={fits}"
        )
    if not task.exact or targets not in (*RANK, "text"):
        return
    target = (batch["input"] if targets == "text" else batch)["target"]
    items = target.shape[:-1] if targets in ("real", "reals") else target.shape
    wanted = (*items, dataset.outputs)
    for head in jax.tree.leaves(outputs):
        if head.shape != wanted or not jnp.issubdtype(head.dtype, jnp.floating):
            raise ValueError(
                f"it answers an example with {head.dtype}{list(head.shape[1:])}, but the data want "
                f"float{list(wanted[1:])}; give a number for each of `outputs`"
            )


def of_parts(config, experiment) -> None:
    """Checks views, criterion, ensemble and real_time, each with what it needs."""
    dataset = experiment.dataset
    averaged = any(
        isinstance(experiment.example_shapes(split)["input"], tuple) for split in dataset.evals
    )
    if averaged and config.task.name != "classify":
        raise BadInput(
            f"task.name: {config.task.name!r} has no probabilities to average over "
            f"data.views={config.data.views!r}; "
            "set task.name='classify', or use one view of one size"
        )
    of_logits = [key for key in config.task if config.task[key] in OF_LOGITS]
    if of_logits and getattr(experiment.model, "output", None) == "logistic":
        said = f"task.{of_logits[0]}: {config.task[of_logits[0]]!r}"
        raise BadInput(f"{said} is of logits, not of 'logistic' outputs; set model.output='linear'")
    if (
        "legal" in experiment.example_shapes()
        and "tolerance" in config.task
        and config.task.tolerance is not None
    ):
        judges = f"data.name={config.data.name!r} says itself which outputs are right"
        raise BadInput(
            f"task.tolerance: {config.task.tolerance} does nothing, as {judges}; set it to none"
        )
    if experiment.ensemble > 1:
        _check_ensemble(config, experiment)
    if experiment.real_time:
        _check_real_time(config, experiment)


def of_metrics(config, experiment) -> None:
    """Checks the metrics of the task and of the stop.

    The log must have them, the stop's examples must be whole batches, and the heads that the task
    weighs must exist.
    """
    batch_size, dataset = experiment.batch_size, experiment.dataset
    if "auxiliary_weight" in config.task and not isinstance(experiment.shapes[1], tuple):
        weight, usual = (
            config.task.auxiliary_weight,
            inspect.signature(tasks.classify).parameters["auxiliary_weight"].default,
        )
        if weight != usual:
            raise BadInput(
                f"task.auxiliary_weight: {weight} does nothing, as this {config.model.name!r} has "
                "no auxiliary head"
            )
    metrics = experiment.metrics
    for judged in (f"{split}/{experiment.task.metric}" for split in dataset.evals):
        if judged not in metrics:
            raise BadInput(
                f"task.name: {config.task.name!r} is judged by {judged}, but its sums give "
                f"{', '.join(metrics)}"
            )
    if config.stop.metric and config.stop.metric not in metrics:
        raise BadInput(
            f"stop.metric: unknown {config.stop.metric!r}; choose from {', '.join(metrics)}"
        )
    sliding = [
        m
        for m in SLIDING
        if m in metrics and (m.endswith("sequence_error") or dataset.targets == "class")
    ]
    if config.stop.last and config.stop.metric not in sliding:
        raise BadInput(
            "stop.last: needs a stop.metric of single training examples, which "
            f"{config.stop.metric!r} is not; "
            f"choose from {', '.join(sliding) or 'none of this task'}"
        )
    if config.stop.last % batch_size:
        raise BadInput(
            f"stop.last: {config.stop.last} examples must be whole batches of "
            f"data.batch_size={batch_size}"
        )
    if config.stop.last and dataset.train.bucket is not None:
        raise BadInput(
            f"stop.last: needs whole batches, but the last of each bucket of {config.data.name!r} "
            "is not; set 0"
        )
    of_one = experiment.example_shapes()
    counted = [of_one["mask"], *([of_one["input"]["target"]] if dataset.targets == "text" else [])]
    items = batch_size * max(math.prod(x.shape[1:]) for x in counted)
    steps = math.ceil(min(experiment.log_every, experiment.checkpoint_every, experiment.steps))
    if items * steps >= 2**31:
        raise BadInput(
            f"log.every: {steps:,} steps of {items:,} items are more than 2**31 - 1, which is "
            "counted to; use fewer"
        )


def _check_ensemble(config, experiment) -> None:
    where, seeds = f"eval.ensemble: {experiment.ensemble}", len(experiment.seeds)
    if seeds % experiment.ensemble:
        raise BadInput(f"{where} does not divide {seeds} seeds; give another number of seeds")
    if config.task.name != "classify":
        raise BadInput(f"{where} needs probabilities; set task.name='classify'")
    if hasattr(experiment.model, "initial_memory"):
        raise BadInput(
            f"{where}, but model.name={config.model.name!r} has a memory, which each member would "
            "need for itself"
        )
    if SEEDS[config.parallel.seeds][0] != "batch":
        raise BadInput(
            f"{where}, but parallel.seeds={config.parallel.seeds!r} divides the seeds over "
            "devices; choose from map, vmap"
        )
    if config.stop.metric and not config.stop.metric.startswith("train/"):
        raise BadInput(
            f"{where}, but stop.metric={config.stop.metric!r} is one of every seed; use one of train/..."
        )


def _check_real_time(config, experiment) -> None:
    where, targets = "optim.real_time", experiment.dataset.targets
    if experiment.batch_size != 1:
        raise BadInput(
            f"{where}: is of one sequence, but data.batch_size={experiment.batch_size}; set 1"
        )
    if targets not in ("classes", "reals"):
        raise BadInput(
            f"{where}: needs a target every time step, but data.name={config.data.name!r} has "
            f"{targets} ones"
        )
    if not hasattr(experiment.model, "initial_carry"):
        makes = {name: getattr(make, "func", make) for name, make in architectures.MODELS.items()}
        fitting = [name for name, make in makes.items() if hasattr(make, "initial_carry")]
        raise BadInput(
            f"{where}: model.name={config.model.name!r} cannot go one step at a time; choose from "
            f"{', '.join(fitting)}"
        )
    if config.optim.accumulate > 1:
        raise BadInput(
            f"{where}: is an update a time step, but optim.accumulate={config.optim.accumulate}; "
            "set 1"
        )
    try:
        experiment.model.initial_carry(1)
    except ValueError as error:
        raise BadInput(f"model: {error}") from None
    if config.schedule.name != "constant" or config.schedule.warmup:
        raise BadInput(
            f"{where}: needs schedule.name='constant' and no warmup, as a schedule counts updates"
        )
