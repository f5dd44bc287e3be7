"""The whole schema: every key, its default, its unit.

`get_config()` is locked, so an unknown key fails at once.

A section with a `name` is a choice from a table, and its other keys are the keyword parameters of
the chosen entry:
`model` from architectures.MODELS, `data` from train.data.DATASETS, `task` from train.tasks.TASKS,
`optim` and `schedule` from train.optim. So a default is in one place, the constructor, and
choosing another name brings that entry's keys.

A duration is a number of steps (one step = one global batch), or text like "3 epochs".
"""

import math

from ml_collections import ConfigDict, config_dict

import architectures
from architectures import cells
from configs import parameters, values
from configs.nearest import nearest
from train import data, layout, optim, tasks
from train.duration import Duration
from train.errors import BadInput

TABLES = dict(
    model=architectures.MODELS,
    data=data.DATASETS,
    task=tasks.TASKS,
    optim=optim.OPTIMIZERS,
    schedule=optim.SCHEDULES,
)
# sets of TFDS, by the kind of their examples; data.set says which
GENERIC_SETS = ("tfds_images", "tfds_photographs", "tfds_text", "tfds_stream")
SUPPLIED = dict(  # set by the experiment; these are not keys
    model=("outputs", "symbols", "dtype", "axis_name", "parent"),
    schedule=("steps", "duration", "accumulate"),
)


def _steps(value: Duration):
    return config_dict.FieldReference(value, field_type=object)


def _common() -> dict[str, dict]:
    """The keys that a section with a name always has."""
    return dict(
        data=dict(batch_size=128),  # examples in one global batch, over all devices
        optim=dict(
            lr=0.001,  # the peak learning rate
            # if set, lr is meant per this many examples: lr * batch_size / lr_per
            lr_per=config_dict.placeholder(int),
            steps=_steps(1000),  # duration of training
            weight_decay=0.0,
            # coupled: L2 in the gradient; decoupled: AdamW's, outside the optimizer and times lr
            decay="coupled",
            decay_mask="kernels",  # kernels: all parameters but biases and scales; all: these too
            clip_norm=config_dict.placeholder(float),  # largest norm of the whole gradient
            # largest absolute value of a gradient's element
            clip_value=config_dict.placeholder(float),
            accumulate=1,  # batches whose gradients are averaged into one update
            # an update after every time step of one sequence (Williams & Zipser 1989), not one at
            # its end
            real_time=False,
            # skip updates whose loss or gradient is not finite; false: the run ends, with code 3
            skip_nonfinite=False,
            ema=0.0,  # decay of the average of the parameters that evaluation uses; 0: none
        ),
        schedule=dict(
            warmup=_steps(0),  # duration of the warm-up at the start
            # the factor of lr during the warm-up; 0: lr rises along a line from 0 instead
            warmup_factor=0.0,
        ),
    )


def get_config() -> ConfigDict:
    """The defaults, locked."""
    c = ConfigDict()
    c.seeds = (0,)  # one replica each, trained together in one program
    c.dtype = "float32"  # compute dtype; parameters, statistics and losses stay float32
    c.steps_per_dispatch = 10  # steps that the devices run without the host
    c.task = section("task", "classify")
    c.model = section("model", "lenet5")
    c.data = section("data", "fashion_mnist")
    c.optim = section("optim", "adam")
    c.schedule = section("schedule", "constant")
    c.eval = dict(
        every=_steps(1000),
        # the last batch is padded and masked; a stream is read in parallel parts, each from an
        # empty memory
        batch_size=500,
        # this many of the S seeds are judged together by their mean probabilities, which gives
        # S / ensemble results
        ensemble=1,
    )
    # a seed that is done stays as it is; the run ends at the first checkpoint with all seeds done
    c.stop = dict(
        metric="",  # of metrics.jsonl, such as train/sequence_error; "": never
        at_most=0.0,  # done once the metric, in its unit, is at most this
        # 0: in a record of metrics.jsonl; else over this many of the last training examples,
        # checked at each step
        last=0,
    )
    c.log = dict(every=_steps(100))
    # keep: how many of the latest checkpoints stay, besides the best one
    c.checkpoint = dict(every=_steps(1000), keep=2)
    c.parallel = dict(
        # None: as many as divide the work; see also HEAVY in train/layout.py
        devices=config_dict.placeholder(int),
        # one of train.layout.SEEDS: the devices divide the batch (map, vmap) or the seeds
        # (devices...)
        seeds="map",
    )
    return c.lock()


SHOWN = "--print_config shows the keys"  # where there are too many for one line
INTERVALS = {  # the legal numbers of keys that no constructor checks
    "steps_per_dispatch": "[1, inf)",
    "data.batch_size": "[1, 1048576]",
    "optim.lr": "(0, inf)",
    "optim.lr_per": "[1, inf)",
    "optim.weight_decay": "[0, inf)",
    "optim.clip_norm": "(0, inf)",
    "optim.clip_value": "(0, inf)",
    "optim.accumulate": "[1, inf)",
    "optim.ema": "[0, 1)",
    "schedule.warmup_factor": "[0, 1]",
    "eval.batch_size": "[1, 1048576]",
    "eval.ensemble": "[1, inf)",
    "stop.at_most": "[0, inf)",
    "stop.last": "[0, inf)",
    "checkpoint.keep": "[1, inf)",
    "parallel.devices": "[1, inf)",
}
# a key that does nothing unless another one is set, or has the value after =
NEEDS = {
    "optim.decay": "optim.weight_decay",
    "optim.decay_mask": "optim.weight_decay",
    "schedule.warmup_factor": "schedule.warmup",
    "stop.at_most": "stop.metric",
    "task.j": "task.criterion=map",
    "model.variational": "model.dropout",
    "model.sampling_schedule": "model.scheduled_sampling",
    "model.sampling_k": "model.scheduled_sampling",
    "model.sampling_c": "model.sampling_schedule=linear",
    "model.merge": "model.directions=both",
    "model.max_source": "model.attention=location",
    "model.window": "model.local",
    "model.gate_bias": "model.gate",
    "model.bn_epsilon": "model.batch_norm",
    "model.bn_momentum": "model.batch_norm",
    "model.auxiliary_dropout": "model.auxiliary",
    "model.auxiliary_norm": "model.auxiliary",
    "model.auxiliary_pool": "model.auxiliary",
    "data.aspect": "data.area",
    "data.q": "data.variant=c",
}
# a key that returns to its default where only the other one changes, to a value that does not fit
GOES_WITH = {
    "model.forget_bias": ("model.cell", cells.has_forget_gate),
    "model.init_scale": ("model.initialiser", cells.SCALED.__contains__),
}
CHOICES = {
    "dtype": ("float32", "bfloat16"),
    "optim.decay": optim.DECAYS,
    "optim.decay_mask": optim.DECAY_MASKS,
    "parallel.seeds": tuple(layout.SEEDS),
}


def section(kind: str, name: str) -> ConfigDict:
    """The section `kind` with the entry `name` of its table and all keys of that entry."""
    table = TABLES[kind]
    if name not in table:
        near = nearest(str(name), table)
        if kind == "data" and not near.startswith("did you mean"):
            near += f"; of TFDS: data.name={', '.join(GENERIC_SETS)}, with data.set={name}"
        raise BadInput(f"{kind}.name: unknown {name!r}; {near}")
    keys = parameters.keys(kind, table[name], _supplied(kind))
    return ConfigDict(dict(name=name, **_common().get(kind, {}), **keys))


def _supplied(kind: str) -> tuple[str, ...]:
    return ("name", *SUPPLIED.get(kind, ()))


def _optional(config: ConfigDict) -> set[str]:
    """The keys that may be None."""
    paths = {path for path, value in flatten(get_config()).items() if value is None}
    for kind, table in TABLES.items():
        entry = table.get(config.get(kind, {}).get("name"))
        if entry is not None:
            paths |= {f"{kind}.{key}" for key in parameters.optional(entry, _supplied(kind))}
    return paths


def defaults(config: ConfigDict) -> ConfigDict:
    """The defaults for a config whose sections have the names of this one's."""
    return override(get_config(), {f"{kind}.name": config[kind]["name"] for kind in TABLES})


def flatten(config: ConfigDict | dict) -> dict[str, object]:
    """{'optim.lr': 0.001, ...}: every leaf by its dotted path."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, ConfigDict | dict):
            flat |= {f"{key}.{inner}": leaf for inner, leaf in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def override(config: ConfigDict, changes: dict[str, object]) -> ConfigDict:
    """Applies {'optim.lr': 0.1, ...}; text is read as the key's type, as on the command line.

    Returns `config`, locked.

    A change of a section's name comes first, and brings that entry's keys with their defaults; the
    keys that every entry has (`optim.lr`, `data.batch_size`, ...) keep their values. Raises
    BadInput, naming the key, also for a key of NEEDS that would do nothing.
    """
    before = {}
    for path in sorted(changes, key=lambda path: not path.endswith(".name")):
        value = changes[path]
        flat = flatten(config)
        if path in TABLES:
            raise BadInput(f"{path} is a section; set {path}.name, or one of its keys")
        if path not in flat:
            raise BadInput(f"unknown key {path!r}; {nearest(path, flat, SHOWN)}")
        *parents, key = path.split(".")
        parent = config[parents[0]] if parents else config
        if key == "name" and value == parent.name:
            continue
        if key == "name":
            swapped = section(parents[0], value)
            for common in _common().get(parents[0], {}):
                swapped[common] = parent[common]
            with config.unlocked():
                config[parents[0]] = swapped
            continue
        before[path] = flat[path]
        if isinstance(value, str):
            optional = value.lower() == "none" and path in _optional(config)
            value = values.read(path, value, parent.get_type(key), optional)
        values.assign(config, path, value)
    flat = flatten(config)
    for path, (other, fits) in GOES_WITH.items():
        if path in flat and path not in changes and other in changes and not fits(flat[other]):
            kind, key = path.split(".")
            config[kind][key] = section(kind, config[kind].name)[key]
    for path in changes.keys() & NEEDS.keys():
        needed, _, value = NEEDS[path].partition("=")
        # an unchanged value was checked with the whole config; a user's entry may have such a key
        if flat[path] == before[path] or needed not in flat:
            continue
        if flat[path] and (
            flat[needed] != value if value else flat[needed] in ("none", "", None, (), 0)
        ):
            raise BadInput(f"{path}: {flat[path]!r} does nothing without {NEEDS[path]}")
    return config.lock()


def validate(config: ConfigDict) -> None:
    """Raises BadInput for an illegal value or key.

    That is a number out of range, a word that is not a choice, or keys that the entry of a
    section's name does not have.
    """
    reference, flat = get_config(), flatten(config)
    for kind in TABLES:
        if f"{kind}.name" not in flat:
            raise BadInput(
                f"{kind} is not a section with a name; begin with base.get_config() and set names by "
                "base.override"
            )
        with reference.unlocked():
            reference[kind] = section(kind, config[kind].name)
    defaults, optional = flatten(reference), _optional(config)
    for path in sorted(defaults.keys() ^ flat.keys()):
        kind = path.split(".")[0]
        where = f"{kind}.name={config[kind].name!r}" if kind in TABLES else "the schema"
        what = "is missing" if path in defaults else f"is not a key of {where}"
        raise BadInput(
            f"{path}: {what}; begin with base.get_config() and set names by base.override"
        )
    for path, value in flat.items():
        if value is not None:
            values.assign(reference, path, value)
        if value is None and path not in optional:
            raise BadInput(
                f"{path}: none is not possible; must be "
                f"{values.in_words(type(defaults[path]).__name__)}"
            )
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise BadInput(f"{path}: {number} is not a finite number")
            if isinstance(number, int) and abs(number) >= 2**31 and path != "seeds":
                raise BadInput(f"{path}: {number} must be below 2**31")
        interval = INTERVALS.get(path)
        if interval and value is not None and not _within(value, interval):
            raise BadInput(f"{path}: {value!r} is outside {interval}")
        if path in CHOICES and value not in CHOICES[path]:
            raise BadInput(f"{path}: unknown {value!r}; {nearest(str(value), CHOICES[path])}")
    seeds = config.seeds
    if (
        not seeds
        or len(set(seeds)) < len(seeds)
        or not all(type(s) is int and 0 <= s < 2**31 - 1 for s in seeds)
    ):
        raise BadInput(
            f"seeds: {seeds!r} must be one or more different whole numbers from 0 to 2**31 - 2"
        )


def _within(value: float, interval: str) -> bool:
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = value >= low if interval[0] == "[" else value > low
    return above and (value <= high if interval[-1] == "]" else value < high)
