"""The convolution that all families use, with the implementations that are fast on a CPU."""

import contextlib
import contextvars
import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

NHWC = ("NHWC", "HWIO", "NHWC")
# Measured on a CPU by `python -m scripts.bench cnn`:
# numbers in an image row (width x channels) up to which `_banded` is faster
BANDED_ROW = 90
# maps in, and maps in and out together, up to which `_product_gradient` is faster
FEW_MAPS = (8, 128)
GROUP = 2**21  # bytes that `_product_gradient` handles at a time: about a core's cache


_stock = contextvars.ContextVar("stock", default=False)


@contextlib.contextmanager
def stock():
    """Code traced inside uses XLA's own convolutions and pools on every backend.

    This is for counting operations and for comparison.
    """
    token = _stock.set(True)
    try:
        yield
    finally:
        _stock.reset(token)


def is_stock() -> bool:
    """Whether XLA's own operations are in use: off the CPU, and inside `stock()`."""
    return _stock.get() or jax.default_backend() != "cpu"


def convolve(x, kernel, strides, padding, **options):
    """x [B, H, W, I], kernel [h, w, I, O] -> [B, H', W', O].

    Computes what lax.conv_general_dilated does, and has the signature that nn.Conv calls.

    On the CPU it computes the same sums in other ways. XLA's own gradients run 35 to 50 times
    slower inside a loop than outside, because XLA chooses fast layouts only in the entry
    computation. Our gradients are plain convolutions of transposed operands, which are fast in both
    (`_canonical`). A convolution that sees one position, or all of them at once, is a matrix
    product. So is one with very few channels (`_banded`), and so is the kernel's gradient if there
    are few (`_product_gradient`). Groups are convolutions side by side. `stock` turns all this off.
    """
    dilated = any(
        d != 1 for d in (*(options.get("lhs_dilation") or ()), *(options.get("rhs_dilation") or ()))
    )
    groups = options.get("feature_group_count", 1)
    plain = not dilated and x.ndim == 4
    if plain and isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    if plain:
        check_size(x, kernel.shape[:2], padding)
    if is_stock() or not plain:
        return jax.lax.conv_general_dilated(
            x, kernel, strides, padding, **{"dimension_numbers": NHWC} | options
        )
    strides, padding = tuple(strides), tuple(map(tuple, padding))
    if groups > 1 and x.shape[-1] == groups:  # depthwise: nothing is gained
        return _plain(x, kernel, strides, padding, groups=groups)
    if groups > 1:
        parts = zip(jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True)
        return jnp.concatenate(
            [convolve(part, own, strides, padding) for part, own in parts], axis=-1
        )
    unpadded = not any(map(any, padding))
    if unpadded and kernel.shape[:2] == (1, 1):
        x = x[:, :: strides[0], :: strides[1]]
        return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:3], -1)
    if unpadded and kernel.shape[:2] == x.shape[1:3]:
        return (x.reshape(len(x), -1) @ kernel.reshape(-1, kernel.shape[-1]))[:, None, None]
    if strides == (1, 1) and x.shape[2] * x.shape[3] <= BANDED_ROW:
        return _banded(x, kernel, padding)
    return _canonical(x, kernel, strides, padding)


def check_size(x, window, padding) -> None:
    """Raises ValueError, one line, if the padded maps are smaller than a window."""
    if any(n + sum(pads) < w for n, w, pads in zip(x.shape[1:3], window, padding, strict=True)):
        windows, maps = (" x ".join(map(str, sizes)) for sizes in (window, x.shape[1:3]))
        raise ValueError(
            f"the images are too small: windows of {windows} do not fit maps of {maps}; use larger "
            "images"
        )


def _banded(x, kernel, padding):
    """A convolution of stride 1 as one matrix product, with a row for each tile of outputs.

    The kernel becomes a banded matrix, and a tile is a run of neighbouring outputs in an image row.

    y[b, r, t : t + tile] = concat(x[b, r, t : t + seen], ..., x[b, r + h - 1, t : t + seen]) @
    band,  seen = tile + w - 1, band[i, p, c, q, o] = kernel[i, p - q, c, o]. Wide tiles mostly
    multiply by zeros; narrow tiles copy each x more often. The product is flat, because XLA would
    copy the windows for a gradient that is summed over several axes.
    """
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    (batch, height, width, _), (h, w, _, maps) = x.shape, kernel.shape
    rows, columns = height - h + 1, width - w + 1
    tile = next(n for n in range(max(1, min(w - 1, columns)), columns + 1) if columns % n == 0)
    seen = tile + w - 1
    offset = jnp.arange(seen)[:, None] - jnp.arange(tile)
    place = (offset == jnp.arange(w)[:, None, None]).astype(x.dtype)  # [w, seen, tile]
    band = jnp.einsum("hkio,kpq->hpiqo", kernel, place)
    windows = jnp.stack(
        [
            jnp.stack([x[:, i : i + rows, t : t + seen] for i in range(h)], axis=2)
            for t in range(0, columns, tile)
        ],
        axis=2,
    )  # [B, H', W' / tile, h, seen, I]
    y = windows.reshape(-1, band[:, :, :, 0, 0].size) @ band.reshape(-1, tile * maps)
    return y.reshape(batch, rows, columns, maps)


def _plain(x, kernel, strides, padding, lhs_dilation=(1, 1), rhs_dilation=(1, 1), groups=1):
    return jax.lax.conv_general_dilated(
        x, kernel, strides, padding, lhs_dilation, rhs_dilation, NHWC, groups
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _canonical(x, kernel, strides, padding):
    return _plain(x, kernel, strides, padding)


def _canonical_forward(x, kernel, strides, padding):
    return _plain(x, kernel, strides, padding), (x, kernel)


def _canonical_backward(strides, padding, saved, dy):
    x, kernel = saved
    sides = range(2)
    size, window, out = x.shape[1:3], kernel.shape[:2], dy.shape[1:3]
    # the cotangent's size after dilation by the strides
    covered = [strides[i] * (out[i] - 1) + 1 for i in sides]
    low = [window[i] - 1 - padding[i][0] for i in sides]
    dx = _plain(
        dy,
        kernel[::-1, ::-1].swapaxes(2, 3),
        (1, 1),
        [(low[i], size[i] + window[i] - 1 - covered[i] - low[i]) for i in sides],
        lhs_dilation=strides,
    )
    few, most = FEW_MAPS
    if few <= x.shape[3] and x.shape[3] + dy.shape[3] <= most:
        return dx, _product_gradient(x, dy, window, strides, padding)
    dw = _plain(
        x.transpose(3, 1, 2, 0),  # [I, H, W, B]
        dy.transpose(1, 2, 0, 3),  # [H', W', B, O]
        (1, 1),
        [(padding[i][0], covered[i] + window[i] - 1 - size[i] - padding[i][0]) for i in sides],
        rhs_dilation=strides,
    ).transpose(1, 2, 0, 3)  # [I, h, w, O] -> [h, w, I, O]
    return dx, dw


def _product_gradient(x, dy, window, strides, padding):
    """The kernel's gradient [h, w, I, O] from x [B, H, W, I] and the cotangent dy [B, H', W', O].

    It is computed as a matrix product:
    dw[i, j] = sum_{b, r, q} x[b, s r + i - p, s q + j - p]^T dy[b, r, q]. This multiplies the
    columns of x as each j sees them, side by side, by the rows of dy as each i meets them. If the
    stride skips rows, it uses the rows of x as each i sees them instead. Groups of images are
    processed one after the other, because the arrays placed side by side are several times as big.
    Sums are float32 at least.
    """
    (batch, height, _, inputs), (_, rows, columns, maps) = x.shape, dy.shape
    (h, w), every_row = window, strides[0] == 1

    def operands(x, dy):
        x = _windows(x, 2, w, strides[1], padding[1][0], columns)
        if every_row:
            return x, _windows(dy, 1, h, 1, h - 1 - padding[0][0], height)
        return _windows(x, 1, h, strides[0], padding[0][0], rows), dy

    def product(x, dy):
        x, dy = (a.reshape(-1, a.shape[-1]) for a in operands(x, dy))
        return jnp.matmul(x.T, dy, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))

    of_one = sum(a.size * a.dtype.itemsize for a in jax.eval_shape(operands, x[:1], dy[:1]))
    group = max(
        n for n in range(1, batch + 1) if batch % n == 0 and (n == 1 or n * of_one <= GROUP)
    )
    x, dy = (a.reshape(-1, group, *a.shape[1:]) for a in (x, dy))
    zero = jnp.zeros_like(jax.eval_shape(product, x[0], dy[0]))
    dw = jax.lax.fori_loop(0, len(x), lambda k, dw: dw + product(x[k], dy[k]), zero).astype(x.dtype)
    return (
        dw.reshape(w, inputs, h, maps).transpose(2, 0, 1, 3)[::-1]
        if every_row
        else dw.reshape(h, w, inputs, maps)
    )


def _windows(x, axis, window, stride, low, count):
    """The first, second, ... elements of `count` windows along an axis, concatenated as channels.

    low: padding at the start of the axis.
    """
    seen = (count - 1) * stride + 1  # from a window's first element to that of the last window
    pads = [
        (low, seen + window - 1 - x.shape[axis] - low, 0) if i == axis else (0, 0, 0)
        for i in range(4)
    ]
    x = jax.lax.pad(x, jnp.zeros([], x.dtype), pads)
    return jnp.concatenate(
        [jax.lax.slice_in_dim(x, i, i + seen, stride, axis) for i in range(window)], axis=-1
    )


_canonical.defvjp(_canonical_forward, _canonical_backward)

Conv = functools.partial(nn.Conv, conv_general_dilated=convolve)  # every family's convolution
