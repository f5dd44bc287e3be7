"""The pooling that all families use, by slices where these are faster: on a CPU."""

import functools
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.convolution import check_size, is_stock


def _pads(x, window, stride, padding):
    """Padding as pairs.

    An int is the padding on every side; "ceil" completes the last, truncated window at the end.
    """
    if padding == "ceil":
        ends = [math.ceil((n - window) / stride) * stride + window - n for n in x.shape[1:3]]
        pairs = tuple((0, max(0, end)) for end in ends)
    else:
        pairs = (
            ((padding, padding),) * 2 if isinstance(padding, int) else tuple(map(tuple, padding))
        )
    check_size(x, (window, window), pairs)
    return pairs


def max_pool(x, window: int, stride: int, padding: int | str | tuple = 0):
    """x [B, H, W, C] -> [B, H', W', C]: the largest value of each window.

    padding: see `_pads`; a padded value is never the largest.

    On the CPU this uses slices, first of rows and then of columns. For 2 x 2 with its gradient this
    was 7 times as fast as XLA's own pool. If several values of a window are largest, the gradient
    goes to the first one: here the first by column, in XLA's own pool the first by row.
    """
    padding = _pads(x, window, stride, padding)
    if is_stock():
        return nn.max_pool(x, (window, window), (stride, stride), padding)
    return _by_slices(x, window, stride, padding, _largest, -jnp.inf)


def avg_pool(
    x, window: int, stride: int, padding: int | str | tuple = 0, *, count_padding: bool = True
):
    """x [B, H, W, C] -> [B, H', W', C]: the mean of each window.

    Padding counts as zeros, or is left out.
    """
    padding = _pads(x, window, stride, padding)
    if is_stock():
        return nn.avg_pool(
            x, (window, window), (stride, stride), padding, count_include_pad=count_padding
        )
    total = _by_slices(x, window, stride, padding, _sum, 0)
    if count_padding or not any(map(any, padding)):
        return total / window**2
    count = _by_slices(jnp.ones((1, *x.shape[1:3], 1), x.dtype), window, stride, padding, _sum, 0)
    return total / count


def sum_pool(x, window: int, stride: int):
    """x [B, H, W, C] -> [B, H', W', C]: the sum of each window, without padding."""
    return avg_pool(x, window, stride) * window**2


def adaptive_avg_pool(x, size: int | tuple[int, int]):
    """x [B, H, W, C] -> [B, h, w, C], where size is (h, w), or one number for both.

    Output i averages rows floor(i H / h) to ceil((i + 1) H / h).
    """
    height, width = (size, size) if isinstance(size, int) else size

    def average(n, size):
        matrix = [[0.0] * n for _ in range(size)]
        for i in range(size):
            first, last = i * n // size, -(-(i + 1) * n // size)
            matrix[i][first:last] = [1 / (last - first)] * (last - first)
        return jnp.array(matrix, x.dtype)

    x = jnp.einsum(
        "ih,bhwc->biwc", average(x.shape[1], height), x, precision=jax.lax.Precision.HIGHEST
    )
    return jnp.einsum(
        "jw,biwc->bijc", average(x.shape[2], width), x, precision=jax.lax.Precision.HIGHEST
    )


def _by_slices(x, window, stride, padding, join, outside):
    """join(x, window, stride, axis) over rows, then over columns."""
    for axis, pads in zip((1, 2), padding, strict=True):
        if any(pads):
            x = jnp.pad(
                x, [pads if i == axis else (0, 0) for i in range(4)], constant_values=outside
            )
        x = join(x, window, stride, axis)
    return x


def _slices(x, window, stride, axis):
    """`window` arrays: the first, second, ... element of each window along an axis."""
    # no overlap: a view, whose last side is long
    if window == stride and x.shape[axis] % window == 0:
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        x = x.reshape(*before, -1, window, math.prod(after))
        return [
            jax.lax.index_in_dim(x, i, axis + 1, keepdims=False).reshape(*before, -1, *after)
            for i in range(window)
        ]
    last = x.shape[axis] - window + 1
    return [jax.lax.slice_in_dim(x, i, i + last, stride, axis) for i in range(window)]


def _sum(x, window, stride, axis):
    return sum(_slices(x, window, stride, axis))


@jax.custom_jvp
def _larger(a, b):
    return jnp.maximum(a, b)


@_larger.defjvp
# jnp.maximum's gradient is divided between equal values, with four divisions per element
def _larger_jvp(primals, tangents):
    return _larger(*primals), jnp.where(primals[0] >= primals[1], *tangents)


def _largest(x, window, stride, axis):
    if not window > stride > 1:
        return _joined(x, window, stride, axis)
    seen = (x.shape[axis] - window) // stride * stride + window
    return _overlapping(jax.lax.slice_in_dim(x, 0, seen, 1, axis), window, stride, axis)


def _joined(x, window, stride, axis):
    return functools.reduce(_larger, _slices(x, window, stride, axis))


# autodiff would add up scattered, padded slices
_overlapping = jax.custom_vjp(_joined, nondiff_argnums=(1, 2, 3))


def _overlapping_forward(x, window, stride, axis):
    slices = _slices(x, window, stride, axis)
    y = functools.reduce(jnp.maximum, slices)
    place = jnp.full(y.shape, window - 1, jnp.int8)  # index of the first largest value
    for i in reversed(range(window - 1)):
        place = jnp.where(slices[i] == y, jnp.int8(i), place)
    return y, place


def _overlapping_backward(window, stride, axis, place, dy):
    """x's elements at stride k + r stand at the places r + stride m of the windows k - m."""
    windows, reach = dy.shape[axis], (window - 1) // stride
    phases = []
    for r in range(stride):
        parts = [
            jnp.where(place == r + stride * m, dy, 0) for m in range((window - 1 - r) // stride + 1)
        ]
        pads = [
            [(m, reach - m) if i == axis else (0, 0) for i in range(4)] for m in range(len(parts))
        ]
        phases.append(sum(map(jnp.pad, parts, pads)))
    dx = jnp.stack(phases, axis + 1)
    dx = dx.reshape(*dy.shape[:axis], stride * (windows + reach), *dy.shape[axis + 1 :])
    return (jax.lax.slice_in_dim(dx, 0, (windows - 1) * stride + window, 1, axis),)


_overlapping.defvjp(_overlapping_forward, _overlapping_backward)
