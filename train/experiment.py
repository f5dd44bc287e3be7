"""build(config) -> Experiment. The only reader of the config."""

import dataclasses
import functools
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import ScopeParamShapeError

import architectures
from architectures import convolution
from train import checks, examples, flops, optim, step
from train.data import DATASETS
from train.data.source import Dataset
from train.duration import resolver
from train.errors import BadInput
from train.layout import Layout, choose_devices, is_heavy
from train.metrics import finish
from train.optim import OPTIMIZERS, SCHEDULES
from train.state import TrainState
from train.stop import Stop
from train.tasks import TASKS, Batch, Task

CADENCES = ("eval", "log", "checkpoint")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything a run needs, resolved: durations in steps, objects instead of names."""

    model: object
    task: Task
    dataset: Dataset
    optimizer: optim.Optimizer
    layout: Layout
    seeds: tuple[int, ...]
    steps: int
    batch_size: int
    steps_per_dispatch: int
    eval_batch_size: int
    ensemble: int  # seeds that are judged together
    eval_every: float  # steps, as are the next two: due at its multiples, rounded
    log_every: float
    checkpoint_every: float
    checkpoint_keep: int
    real_time: bool  # one update per time step, not per batch
    # skip an update whose loss or gradient is not finite, instead of ending the run
    skip_nonfinite: bool
    stop: Stop  # when a seed is done before the last step

    def example_batch(self, split: str = "train") -> Batch:
        """The first example of a split, [1, ...]; a training example as training sees it."""
        source = self.dataset.train if split == "train" else self.dataset.evals[split]
        arrays = {k: jnp.asarray(v[:1]) for k, v in source.arrays.items()}
        rows, yes = jnp.arange(1), jnp.ones([1], bool)
        return source.batch(
            arrays,
            dict(index=rows, valid=yes, fresh=yes),
            jax.random.key(0),
            rows,
            len(source.makes) - 1,
        )

    def example_shapes(self, split: str = "train") -> Batch:
        """Shapes and dtypes of one example; nothing is computed."""
        return jax.eval_shape(functools.partial(self.example_batch, split=split))

    @functools.cached_property
    def shapes(self):
        """Shapes and dtypes of the network's parts; nothing is computed.

        (variables, outputs, sums) of one training example, and {split: sums}. Raises ValueError,
        one line, where the model does not accept it, or an evaluation split's example.
        """

        def initialise(batch):
            return self.model.init(jax.random.key(0), batch["input"], batch["mask"], train=False)

        def train(variables, batch):
            outputs = self.model.apply(variables, batch["input"], batch["mask"], train=False)
            checks.of_outputs(outputs, batch, self.dataset, self.task)
            return outputs, self.task.sums(outputs, batch)

        def evaluate(variables, batch):
            return self.task.sums(step.predict(variables, batch, model=self.model)[0], batch)

        batch = self.example_shapes()
        variables = jax.eval_shape(initialise, batch)
        outputs, sums = jax.eval_shape(train, variables, batch)
        of_splits = {}
        for split in self.dataset.evals:
            example, where = self.example_shapes(split), f"(in evaluation, on {split!r})"
            try:
                of_splits[split] = jax.eval_shape(evaluate, variables, example)
            except ValueError as error:
                raise ValueError(f"{str(error).splitlines()[0]} {where}") from error
            except ScopeParamShapeError as error:
                sizes = [
                    [x.shape[1:] for x in jax.tree.leaves(b["input"])] for b in (batch, example)
                ]
                raise ValueError(
                    f"weights for inputs of {sizes[0]} do not fit {sizes[1]} {where}"
                ) from error
        return variables, outputs, sums, of_splits

    @functools.cached_property
    def state(self) -> TrainState:
        """The state of all seeds, [S, ...], as shapes and dtypes; nothing is computed."""
        return jax.eval_shape(
            lambda: jax.vmap(lambda seed: step.init(self, seed))(np.asarray(self.seeds))
        )

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics in the log, such as "train/error"."""
        _, _, train, evals = self.shapes
        return [
            f"{split}/{metric}"
            for split, sums in {"train": train, **evals}.items()
            for metric in finish({name: np.zeros(s.shape) for name, s in sums.items()})
        ]

    @property
    def parameters(self) -> int:
        """Trainable parameters of one replica."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.shapes[0]["params"]))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one example's forward pass."""
        batch = self.example_shapes()
        apply = functools.partial(self.model.apply, train=False)
        with convolution.stock():  # counts the network itself, however this backend computes it
            return flops.multiply_adds(apply, self.shapes[0], batch["input"], batch["mask"])


def _options(section, *common: str) -> dict:
    """A section's keys without its name and without those that are read one by one."""
    return {key: section[key] for key in section if key != "name" and key not in common}


def _call(where: str, constructor, *arguments, **options):
    """What the constructor returns; its ValueError becomes the user's, with the section's name."""
    try:
        return constructor(*arguments, **options)
    except BadInput:
        raise
    except (ValueError, OverflowError) as error:  # OverflowError: no array can have that size
        text = str(error).split("\n")[0]  # JAX adds its own lines to a module's error
        # "T: 7 must be ..." becomes "data.T: 7 must be ..."
        between = "." if text.split(":")[0] in options else ": "
        raise BadInput(f"{where}{between}{text}") from error


def build(config) -> Experiment:
    """Checks the config's parts against each other and puts them together.

    Compiles nothing and writes nothing. Raises BadInput, one line with the key in it, for a
    combination that cannot work.
    """
    task = _call("task", TASKS[config.task.name], **_options(config.task))
    takes = architectures.takes(config.model.name)
    dataset = _call("data", DATASETS[config.data.name], **_options(config.data, "batch_size"))
    if dataset.targets not in task.targets:
        raise BadInput(
            f"task.name: {config.task.name!r} needs {' or '.join(task.targets)} targets, but "
            f"data.name={config.data.name!r} has {dataset.targets} ones; try "
            f"task.name={_fitting(dataset)!r}"
        )
    if dataset.inputs not in takes:
        fitting = [
            name for name in architectures.MODELS if dataset.inputs in architectures.takes(name)
        ]
        raise BadInput(
            f"model.name: {config.model.name!r} takes {' or '.join(takes)} inputs, but "
            f"data.name={config.data.name!r} gives "
            f"{dataset.inputs} ones; choose from {', '.join(fitting)}"
        )
    examples.check_shapes(config.data.name, dataset)
    batch_size, seeds, p = config.data.batch_size, tuple(config.seeds), config.parallel
    layout = choose_devices(p.devices, p.seeds, batch_size=batch_size, n_seeds=len(seeds))
    model = _call(
        "model",
        architectures.build,
        config.model.name,
        outputs=dataset.outputs,
        dtype=jnp.dtype(config.dtype),
        axis_name=layout.axis,
        **({} if dataset.symbols is None else {"symbols": dataset.symbols}),
        **_options(config.model),
    )
    per_epoch = dataset.train.steps_per_epoch(batch_size)
    if per_epoch == 0:
        raise BadInput(
            f"data.batch_size: {batch_size} parts of {dataset.train.examples} windows of "
            f"{dataset.train.window} items; "
            "use fewer, or shorter windows"
        )
    duration = resolver(per_epoch)
    steps = round(_at_least_one("optim.steps", duration("optim.steps", config.optim.steps)))
    every = {
        f"{what}_every": _at_least_one(
            f"{what}.every", duration(f"{what}.every", config[what].every)
        )
        for what in CADENCES
    }
    experiment = Experiment(
        model=model,
        task=task,
        dataset=dataset,
        optimizer=_optimizer(config, steps, duration),
        layout=layout,
        seeds=seeds,
        steps=steps,
        batch_size=batch_size,
        steps_per_dispatch=min(config.steps_per_dispatch, steps, *map(math.ceil, every.values())),
        eval_batch_size=config.eval.batch_size,
        ensemble=config.eval.ensemble,
        **every,
        checkpoint_keep=config.checkpoint.keep,
        real_time=config.optim.real_time,
        skip_nonfinite=config.optim.skip_nonfinite,
        stop=Stop(config.stop.metric, config.stop.at_most, config.stop.last, batch_size),
    )
    _call(
        "data",
        lambda **_: checks.of_parts(config, experiment),
        **_options(config.data, "batch_size"),
    )
    # finds shapes that do not fit here, not in the compiler
    _call("model", lambda **_: experiment.shapes, **_options(config.model))
    if p.devices is None and is_heavy(layout, experiment.parameters, batch_size):
        one = choose_devices(1, p.seeds, batch_size=batch_size, n_seeds=len(seeds))
        experiment = dataclasses.replace(experiment, layout=one, model=model.clone(axis_name=None))
    checks.of_metrics(config, experiment)
    return experiment


def _fitting(dataset: Dataset) -> str:
    return next(name for name, task in TASKS.items() if dataset.targets in task().targets)


def _at_least_one(key: str, steps: float) -> float:
    if not 1 <= steps < 2**31:
        raise BadInput(f"{key}: comes to {steps:g} steps, must be at least 1 and below 2**31")
    return steps


def _whole(key: str, steps: float) -> int:
    if steps >= 2**31:
        raise BadInput(f"{key}: comes to {steps:g} steps, must be below 2**31")
    return round(steps)


def _optimizer(config, steps: int, duration) -> optim.Optimizer:
    o, s = config.optim, config.schedule
    common = ("weight_decay", "decay", "decay_mask", "clip_norm", "clip_value", "accumulate", "ema")
    own = _options(o, "lr", "lr_per", "steps", "real_time", "skip_nonfinite", *common)
    supplied = dict(
        steps=steps, duration=lambda key, d: _whole(key, duration(key, d)), accumulate=o.accumulate
    )
    if o.accumulate > steps:
        raise BadInput(
            f"optim.accumulate: {o.accumulate} batches an update, but optim.steps comes to {steps}"
        )
    rule = SCHEDULES[s.name]
    wanted = {key: supplied[key] for key in inspect.signature(rule).parameters if key in supplied}
    return optim.build(
        _call("optim", OPTIMIZERS[o.name], **own),
        _call("schedule", rule, **wanted, **_options(s, "warmup", "warmup_factor")),
        lr=o.lr * config.data.batch_size / o.lr_per if o.lr_per else o.lr,
        warmup=_whole("schedule.warmup", duration("schedule.warmup", s.warmup)),
        warmup_factor=s.warmup_factor,
        **{key: o[key] for key in common},
    )
