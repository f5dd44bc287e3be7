"""A model's layers: shapes, parameters, multiply-adds, receptive fields.

Nothing is computed, so even the largest model takes only seconds.
"""

import collections
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util
from jax.ad_checkpoint import checkpoint_name

from architectures import convolution
from train import flops, receptive_field
from train.receptive_field import Fields

POOLS = dict(reduce_window_max="max_pool", reduce_window_sum="avg_pool")
Path = tuple[str, ...]


class Layer(NamedTuple):
    """One module with parameters, or one pool. Counts are totals over its repetitions.

    times: how often it runs, in a loop over units or over time.
    output: its shape without the batch; None for a layer that runs in training only.
    fields: None for a model whose input is not an image.
    """

    name: str
    times: int
    output: tuple[int, ...] | None
    parameters: int
    multiply_adds: int
    fields: Fields | None

    @property
    def training_only(self) -> bool:
        return self.output is None


class Anatomy(NamedTuple):
    layers: list[Layer]
    parameters: int
    training_only: int  # parameters that evaluation does not need
    multiply_adds: int


def anatomy(model: nn.Module, shape: tuple[int, ...], levels: int = 0) -> Anatomy:
    """The anatomy of one example's forward pass in evaluation.

    shape: (H, W, C) of an image, (T, I) of a sequence, (T,) of tokens, (S, T) of a pair.
    levels: layers whose names share their first `levels` parts count as one; 0: each by itself.
    """
    jaxpr, own, image = _trace(model, shape)
    counts = {_path(scope): count for scope, count in flops.by_scope(jaxpr).items() if count}
    seen = receptive_field.fields(jaxpr, image) if len(shape) == 3 else {}
    levels = levels or max(map(len, own)) + 1
    calls, order = {}, {}  # outputs of modules and pools; the names of rows
    for equation, times, scope in flops.equations(jaxpr):
        path, kind = _path(scope), POOLS.get(equation.primitive.name)
        made = equation.params.get("name", "") if equation.primitive.name == "name" else ""
        if flops.SCOPE.fullmatch(made):
            path = _path(made[1:-1])
            order |= {path[:levels]: None} if path in own else {}
        elif kind and id(equation) in seen and path not in own:
            path = (
                *path,
                f"{kind}_{1 + sum(p[:-1] == path and p[-1].startswith(kind) for p in calls if p)}",
            )
            order |= {path[:levels]: None}
        else:
            continue
        output = equation.outvars[0].aval.shape
        calls[path] = times, output[1:], seen.get(id(equation))
    order |= {path[:levels]: None for path in counts}

    def layer(key: Path) -> Layer:
        parameters, products = (
            sum(n for path, n in of.items() if path[:levels] == key) for of in (own, counts)
        )
        times, output, both = calls.get(key) or next(
            call for path, call in calls.items() if path[: len(key)] == key
        )
        return Layer("/".join(key) or "(model)", times, output, parameters, products, both)

    idle = collections.Counter()
    for path, count in own.items():
        if path not in calls:
            idle[path[:levels]] += count
    layers = [layer(key) for key in order]
    layers += [
        Layer("/".join(key), 1, None, count, 0, None)
        for key, count in idle.items()
        if key not in order
    ]
    return Anatomy(layers, sum(own.values()), idle.total(), sum(counts.values()))


def _path(scope: str) -> Path:
    return tuple(scope.split("/")) if scope else ()


def _trace(model, shape):
    """(the forward jaxpr, {module path: parameters}, the jaxpr's variable for the image)."""
    x = jax.ShapeDtypeStruct((1, *shape), jnp.int32 if len(shape) == 1 else jnp.float32)
    if "pair" in getattr(model, "takes", ()):
        x = {
            part: jax.ShapeDtypeStruct((1, size), jnp.int32)
            for part, size in zip(("source", "target"), shape, strict=True)
        }
    mask = jax.ShapeDtypeStruct((1,) if len(shape) == 3 else (1, shape[0]), bool)
    key = jax.eval_shape(lambda: jax.random.key(0))
    with convolution.stock():
        variables = jax.eval_shape(functools.partial(model.init, train=False), key, x, mask)
        with nn.intercept_methods(_marked):
            jaxpr = jax.make_jaxpr(functools.partial(model.apply, train=False))(
                variables, x, mask
            ).jaxpr
    own = collections.Counter()
    for path, leaf in traverse_util.flatten_dict(variables["params"]).items():
        # a cell is not called itself; its layer is
        part = path[:-2] if path[-2:-1] == ("cell",) else path[:-1]
        own[part] += math.prod(leaf.shape)
    return jaxpr, own, jaxpr.invars[len(jax.tree.leaves(variables))]


def _marked(call, arguments, options, context):
    """Traces a module's method in the scope "[path]" and marks its outputs with that name.

    The mark is an equation "name" behind each output.
    """
    if context.method_name != "__call__":
        return call(*arguments, **options)
    mark = f"[{'/'.join(context.module.path)}]"
    with jax.named_scope(mark):
        outputs = call(*arguments, **options)
    return jax.tree.map(
        lambda x: checkpoint_name(x, mark) if isinstance(x, jax.Array) else x, outputs
    )
