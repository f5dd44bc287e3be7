"""Layers that several papers share."""

import contextlib
import contextvars
import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

NHWC = ("NHWC", "HWIO", "NHWC")
BANDED_ROW = 96  # numbers in an image row (width x channels) up to which `_banded` is faster on a CPU


def scaled_tanh(x):
    """f(a) = 1.7159 tanh(2a/3): f(1) = 1, f(-1) = -1. LeCun et al. 1998, appendix A."""
    return 1.7159 * jnp.tanh(2 / 3 * x)


ACTIVATIONS = dict(relu=nn.relu, scaled_tanh=scaled_tanh, tanh=jnp.tanh)


def choose(what: str, name: str, table):
    """table[name]. Raises ValueError, one line with the choices."""
    if name not in table:
        raise ValueError(f"unknown {what} {name!r}; have {', '.join(sorted(table))}")
    return table[name]


def uniform_fan_in(key, shape, dtype=jnp.float32):
    """U(-2.4/F, 2.4/F), F the fan-in of a kernel [..., in, out]. LeCun et al. 1998, appendix A."""
    fan_in = 1
    for side in shape[:-1]:
        fan_in *= side
    return jax.random.uniform(key, shape, dtype, -2.4 / fan_in, 2.4 / fan_in)


_stock = contextvars.ContextVar("stock_convolutions", default=False)


@contextlib.contextmanager
def stock_convolutions():
    """What is traced inside uses XLA's own convolutions on every backend: to count with, and to compare with."""
    token = _stock.set(True)
    try:
        yield
    finally:
        _stock.reset(token)


def convolve(x, kernel, strides, padding, **options):
    """x [B, H, W, I], kernel [h, w, I, O] -> [B, H', W', O]: lax.conv_general_dilated, also as nn.Conv calls it.

    On the CPU it takes other ways to the same sums. XLA's own gradients run 35 to 50 times slower inside a loop than
    outside, as it finds fast layouts in the entry computation alone; ours are plain convolutions of transposed operands,
    fast in both. And a convolution of few channels becomes a matrix product (`_banded`). `stock_convolutions` turns this off.
    """
    dilated = any(d != 1 for d in (*(options.get("lhs_dilation") or ()), *(options.get("rhs_dilation") or ())))
    if _stock.get() or jax.default_backend() != "cpu" or dilated or options.get("feature_group_count", 1) != 1 or x.ndim != 4:
        return jax.lax.conv_general_dilated(x, kernel, strides, padding, **{"dimension_numbers": NHWC} | options)
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    if tuple(strides) == (1, 1) and x.shape[2] * x.shape[3] <= BANDED_ROW:
        return _banded(x, kernel, padding)
    return _canonical(x, kernel, tuple(strides), tuple(map(tuple, padding)))


def _banded(x, kernel, padding):
    """A convolution of stride 1 as one matrix product per image row: the kernel becomes a banded matrix.

    y[b, r] = concat(x[b, r], ..., x[b, r + h - 1]) @ band,  band[i, p, c, q, o] = kernel[i, p - q, c, o].
    """
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    (batch, height, width, _), (h, w, _, maps) = x.shape, kernel.shape
    rows, columns = height - h + 1, width - w + 1
    offset = jnp.arange(width)[:, None] - jnp.arange(columns)  # [W, W']
    place = (offset == jnp.arange(w)[:, None, None]).astype(x.dtype)  # [w, W, W']
    band = jnp.einsum("hkio,kpq->hpiqo", kernel, place)
    x = x.reshape(batch, height, -1)
    windows = jnp.concatenate([x[:, i : i + rows] for i in range(h)], axis=-1)  # [B, H', h W I]
    y = windows @ band.reshape(windows.shape[-1], -1)  # [B, H', W' O]
    return y.reshape(batch, rows, columns, maps)


def _plain(x, kernel, strides, padding, lhs_dilation=(1, 1), rhs_dilation=(1, 1)):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, lhs_dilation, rhs_dilation, NHWC)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _canonical(x, kernel, strides, padding):
    return _plain(x, kernel, strides, padding)


def _canonical_forward(x, kernel, strides, padding):
    return _plain(x, kernel, strides, padding), (x, kernel)


def _canonical_backward(strides, padding, saved, dy):
    x, kernel = saved
    sides = range(2)
    size, window, out = x.shape[1:3], kernel.shape[:2], dy.shape[1:3]
    covered = [strides[i] * (out[i] - 1) + 1 for i in sides]  # the cotangent's size after dilation by the strides
    low = [window[i] - 1 - padding[i][0] for i in sides]
    dx = _plain(
        dy,
        kernel[::-1, ::-1].swapaxes(2, 3),
        (1, 1),
        [(low[i], size[i] + window[i] - 1 - covered[i] - low[i]) for i in sides],
        lhs_dilation=strides,
    )
    dw = _plain(
        x.transpose(3, 1, 2, 0),  # [I, H, W, B]
        dy.transpose(1, 2, 0, 3),  # [H', W', B, O]
        (1, 1),
        [(padding[i][0], covered[i] + window[i] - 1 - size[i] - padding[i][0]) for i in sides],
        rhs_dilation=strides,
    ).transpose(1, 2, 0, 3)  # [I, h, w, O] -> [h, w, I, O]
    return dx, dw


_canonical.defvjp(_canonical_forward, _canonical_backward)

Conv = functools.partial(nn.Conv, conv_general_dilated=convolve)  # every family's convolution


def pool_2x2(x, join):
    """x [B, H, W, C], H and W even -> [B, H/2, W/2, C]: join(a, b) of the pairs of rows, then of the pairs of columns.

    With jnp.maximum this is max pooling without overlap, 7 times as fast as nn.max_pool with its gradient on a CPU.
    """
    batch, height, width, maps = x.shape
    x = x.reshape(batch, height // 2, 2, width * maps)
    x = join(x[:, :, 0], x[:, :, 1]).reshape(batch, height // 2, width // 2, 2, maps)
    return join(x[:, :, :, 0], x[:, :, :, 1])


class Subsample(nn.Module):
    """Trainable subsampling, LeCun et al. 1998, section II-B:  y = c (x00 + x01 + x10 + x11) + b, one (c, b) per map.

    x [B, H, W, C] -> [B, H/2, W/2, C]; parameters "coefficient" and "bias", [C] each; drawn as weights of fan-in 4.
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        maps = x.shape[-1]
        coefficient = self.param("coefficient", lambda key, shape: uniform_fan_in(key, (4, *shape))[0], (maps,))
        bias = self.param("bias", nn.initializers.zeros, (maps,))
        return pool_2x2(x.astype(self.dtype), jnp.add) * coefficient.astype(self.dtype) + bias.astype(self.dtype)


class Dropout(nn.Module):
    """Zeroes each value of x [B, ...] with probability `rate` and divides the others by 1 - rate. Srivastava et al. 2014.

    An example's mask comes from its row in the global batch, so it does not depend on how many devices hold the batch;
    `axis_name` is the mapped axis that divides the batch, if one does.
    """

    rate: float
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, *, train: bool):
        if not train or self.rate == 0:
            return x
        rows = jnp.arange(x.shape[0])
        if self.axis_name is not None:
            rows += x.shape[0] * jax.lax.axis_index(self.axis_name)
        keys = jax.vmap(functools.partial(jax.random.fold_in, self.make_rng("dropout")))(rows)
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(kept, x / (1 - self.rate), 0)
