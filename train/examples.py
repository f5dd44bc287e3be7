"""Checks examples against their Dataset's description: shapes, dtypes and the numbers in them.

This happens before training, for every split and bucket.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from train import data
from train.data import DATASETS
from train.errors import BadInput
from train.tasks import valid

# "B" the batch, "T" and "S" time steps, "O" Dataset.outputs; any other letter is free
INPUTS = {
    "image": (("float", "int"), "BHWC"),
    "sequence": (("float",), "BTI"),
    "tokens": (("int",), "BT"),
    "stream": (("float",), "BTI"),
    "pair": (("int",), "BS"),
}
TARGETS = {
    "class": (("int",), "B"),
    "classes": (("int",), "BT"),
    "real": (("float", "int"), "BO"),
    "reals": (("float", "int"), "BTO"),
    "text": (("int",), "BT"),
}
DTYPES = dict(float=jnp.floating, int=jnp.integer, bool=jnp.bool_)
LARGEST = np.iinfo(np.int32).max
CHUNK = 4096  # examples that are looked at together


def check_shapes(name: str, dataset) -> None:
    """Checks the examples of the data set `name`.

    Raises BadInput, one line with the split, where an example is not of the kinds that the Dataset
    declares, or where its parts do not fit each other.
    """
    for split, source in {"train": dataset.train, **dataset.evals}.items():
        where = f"data.name: {name!r}, {split}:"
        if source.examples == 0:
            raise BadInput(f"{where} has no example; leave the split out, or give it one")
        if source.examples and source.arrays and not (source.window or source.stream):
            for key, array in source.arrays.items():
                if len(array) != source.examples:
                    raise BadInput(
                        f"{where} arrays[{key!r}] has {len(array)} rows for {source.examples} "
                        "examples; give one row each"
                    )
        for bucket in range(len(source.makes)):
            _check_parts(where, dataset, _shapes(source, bucket))


def _shapes(source, bucket: int) -> dict:
    """What `make` returns for two examples, as shapes and dtypes; nothing is computed."""
    two = {key: np.repeat(array[:1], 2, axis=0) for key, array in source.arrays.items()}

    def make():
        arrays = {key: jnp.asarray(array) for key, array in two.items()}
        keys = jax.random.split(jax.random.key(0), 2)
        return dict(source.makes[bucket](arrays, jnp.arange(2), keys))

    return jax.eval_shape(make)


def _check_parts(where: str, dataset, batch: dict) -> None:
    sizes = {"B": 2, "O": dataset.outputs}
    missing = [key for key in ("input", "target") if key not in batch]
    if missing == ["target"] and dataset.inputs == "pair":
        missing = []
    if missing:
        raise BadInput(f"{where} make gives no {missing[0]!r}, but {', '.join(batch)}; add it")
    if dataset.inputs not in INPUTS or dataset.targets not in TARGETS:
        return  # only the user's own network and task know these kinds
    dtypes, axes = INPUTS[dataset.inputs]
    if dataset.symbols is not None and dataset.inputs in ("sequence", "stream"):
        dtypes, axes = INPUTS["tokens"]
    said, target = f"{dataset.inputs!r} inputs", TARGETS[dataset.targets]
    if dataset.inputs == "pair":
        if not (isinstance(batch["input"], dict) and {"source", "target"} <= batch["input"].keys()):
            raise BadInput(f"{where} input of a 'pair' must be dict(source=..., target=...)")
        parts = [("source", batch["input"]["source"], dtypes, axes, said)]
        batch = batch | dict(target=batch["input"]["target"])
    elif isinstance(batch["input"], tuple):  # views
        parts = [("input", view, dtypes, "BV" + axes[1:].lower(), said) for view in batch["input"]]
    else:
        parts = [("input", batch["input"], dtypes, axes, said)]
    parts.append(("target", batch["target"], *target, f"{dataset.targets!r} targets"))
    timed = axes[1] in "TS"
    if timed and "mask" not in batch:
        raise BadInput(f"{where} make gives no 'mask'; give bool [B, {axes[1]}], the valid steps")
    others = dict(
        mask=(("bool",), axes[:2] if timed else "BT"),
        scored=(("bool",), target[1].removesuffix("O")),
        legal=(("bool",), target[1]),
        likelihood=(("float",), target[1]),
        references=(("int",), "BRL"),
    )
    for key, (dtypes, axes) in others.items():
        if key in batch:
            parts.append((key, batch[key], dtypes, axes, f"{key!r}"))
    for key, array, dtypes, axes, said in parts:
        fits = len(array.shape) == len(axes) and all(
            size == sizes.setdefault(axis, size) if axis in "BTSO" else True
            for axis, size in zip(axes, array.shape, strict=True)
        )
        if not (fits and any(jnp.issubdtype(array.dtype, DTYPES[kind]) for kind in dtypes)):
            known = {axis: size for axis, size in sizes.items() if axis != "B"}
            shape = ", ".join(f"{axis}={known[axis]}" if axis in known else axis for axis in axes)
            raise BadInput(
                f"{where} {key} is {array.dtype}{list(array.shape)} of two examples, but {said} "
                f"must be {' or '.join(dtypes)} [{shape}]{_advice(key, array, dtypes, axes, sizes)}"
            )


def _advice(key: str, array, dtypes, axes: str, sizes: dict) -> str:
    """Advice on the usual mistakes, or ""."""
    shape, more = array.shape, len(array.shape) - len(axes)
    if more == 1 and shape[-1] == 1:
        return f"; give {key}[..., 0]"
    if more == 1 and dtypes == ("int",) and shape[-1] == sizes["O"]:
        return f"; of one-hot rows give {key}.argmax(-1)"
    if more == -1 and axes[-1] == "O" and sizes["O"] == 1:
        return f"; give {key}[..., None]"
    if more == 0 and dtypes in (("int",), ("bool",)):
        return f"; give {key}.astype({'bool' if dtypes == ('bool',) else 'np.int32'})"
    return ""


def outside(dataset, batch) -> dict:
    """Where class targets and symbol inputs are outside their range.

    {part: (bool [B] or [B, T], True where a valid number is outside [0, limit); which are valid;
    numbers; limit)}.
    """
    row, parts = batch["mask"], {}
    if dataset.inputs == "pair":
        source, target = batch["input"]["source"], batch["input"]["target"]
        if row.ndim > 1:
            parts["source"] = source, row, dataset.symbols
            row = row.any(axis=1)[:, None]
        parts["target"] = target, row, dataset.outputs
    else:
        if dataset.targets in ("class", "classes"):
            target = batch["target"]
            parts["target"] = target, valid(row, target), dataset.outputs
        if dataset.symbols is not None:
            parts["input"] = batch["input"], row, dataset.symbols
    return {
        part: (mask & ((numbers < 0) | (numbers >= limit)), mask, numbers, limit)
        for part, (numbers, mask, limit) in parts.items()
    }


def check_numbers(name: str, dataset) -> None:
    """Looks at every example in memory of a data set of the user's own.

    The sets of train.data number by a vocabulary, or are checked where they are read. Generated and
    streamed examples are not read ahead: there a class outside makes the loss NaN, see tasks.
    Raises BadInput, one line, for a label, token or symbol outside [0, classes or symbols).
    """
    make = DATASETS[name]
    if getattr(make, "func", make).__module__.startswith(f"{data.__name__}."):
        return
    for split, source in {"train": dataset.train, **dataset.evals}.items():
        if not source.arrays or source.stream or not source.examples:
            continue
        for part, (count, first, low, high, limit) in _looked_at(dataset, source).items():
            if count:
                raise BadInput(
                    f"data.name: {name!r}, {split}: {part} has numbers from {low} to {high}, but "
                    f"must be from 0 to {limit - 1} ({count:,} of {source.examples:,} examples, "
                    f"the first is number {first:,})"
                )


def _looked_at(dataset, source) -> dict:
    """{part: (examples outside, the first of them, the lowest and highest number, limit)}."""
    all_of_it = np.arange(source.examples, dtype=np.int32) * (source.window or 1)
    groups = [all_of_it] if source.bucket is None else source.members
    limits = {}

    @jax.jit
    def look(arrays, groups):
        def of_chunk(bucket, index):
            feed = dict(index=index, valid=index >= 0, fresh=index >= 0)
            feed["index"] = jnp.maximum(index, 0)
            batch = source.batch(arrays, feed, jax.random.key(0), index, bucket)
            found = {}
            for part, (bad, mask, numbers, limits[part]) in outside(dataset, batch).items():
                rows = bad.reshape(len(index), -1).any(axis=1)
                numbers = numbers.astype(jnp.int32)
                found[part] = (
                    rows.sum(),
                    jnp.where(rows, index, LARGEST).min(),
                    jnp.where(mask, numbers, LARGEST).min(),
                    jnp.where(mask, numbers, -LARGEST).max(),
                )
            return found

        return [
            jax.lax.map(functools.partial(of_chunk, bucket), chunks)
            for bucket, chunks in groups.items()
        ]

    def chunks(rows):
        size = min(CHUNK, len(rows))
        return np.pad(rows, (0, -len(rows) % size), constant_values=-1).reshape(-1, size)

    groups = {bucket: chunks(rows) for bucket, rows in enumerate(groups) if len(rows)}
    found = look(dict(source.arrays), groups)
    totals = {}
    for part, limit in limits.items():
        count, first, low, high = zip(*(of[part] for of in found), strict=True)
        first = min(int(x.min()) for x in first) // (source.window or 1)
        totals[part] = (
            sum(int(x.sum()) for x in count),
            first,
            min(int(x.min()) for x in low),
            max(int(x.max()) for x in high),
            limit,
        )
    return totals
