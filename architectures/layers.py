"""Layers, activations and initialisers that several papers share."""

import functools
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from architectures.pooling import sum_pool


def scaled_tanh(x):
    """f(a) = 1.7159 tanh(2a/3): f(1) = 1, f(-1) = -1. LeCun et al. 1998, appendix A."""
    return 1.7159 * jnp.tanh(2 / 3 * x)


ACTIVATIONS = dict(relu=nn.relu, scaled_tanh=scaled_tanh, sigmoid=nn.sigmoid, tanh=jnp.tanh)
OUTPUTS = dict(linear=lambda x: x, logistic=nn.sigmoid)


def choose(what: str, name: str, table):
    """table[name]. Raises ValueError, one line with the choices."""
    if name not in table:
        raise ValueError(f"{what}: unknown {name!r}; choose from {', '.join(sorted(table))}")
    return table[name] if isinstance(table, dict) else name


NUMBERS = dict(  # legal values of numeric fields: at least the first, below the second
    **dict.fromkeys(("dropout", "auxiliary_dropout", "shortcut_dropout", "bn_momentum"), (0, 1)),
    **dict.fromkeys(("bn_epsilon", "init_scale", "width"), (0, math.inf)),
    **dict.fromkeys(("embedding", "maxout", "remat"), (0, 2**31)),
    **dict.fromkeys(
        ("blocks", "groups", "hidden", "layers", "max_source", "scan_from", "size"), (1, 2**31)
    ),
    **dict.fromkeys(("window", "window5"), (1, 2**31)),
    pool4=(2, 2**31),  # its stride is 2
)


def check_numbers(network: nn.Module) -> None:
    """Raises ValueError, one line, for a field of a network that is outside NUMBERS."""
    for name, (least, bound) in NUMBERS.items():
        value = getattr(network, name, None)
        if value is not None and not least <= value < bound:
            above = "is not a finite number" if bound == math.inf else "must be below 2**31"
            legal = (
                f"is outside [{least}, {bound})"
                if bound == 1
                else f"must be at least {least}"
                if value < least
                else above
            )
            raise ValueError(f"{name}: {value} {legal}")


def masked(x, mask):
    """x [B, T, ...], set to 0 where mask [B, T] is False, so that a NaN there affects nothing.

    Values and gradients are both protected. The mask may have any number of leading axes.
    """
    return jnp.where(mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim)), x, 0)


def flat(x):
    """x [..., I] -> [N, I]."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def flat_product(x, weight, dimension_numbers=None, precision=None):
    """x [..., I] @ weight [I, O], as a product of two matrices.

    Also has the signature with which nn.Dense calls its dot_general. Otherwise the weight's
    gradient is summed over several axes, for which XLA copies an operand on the CPU.
    """
    return jnp.matmul(flat(x), weight, precision=precision).reshape(*x.shape[:-1], weight.shape[-1])


Dense = functools.partial(nn.Dense, dot_general=flat_product)  # for sequences


def scaled(maps: int, width: float) -> int:
    """`maps` times `width`, at least 1.

    Raises ValueError, one line, if width is not above 0 or the result reaches 2**31.
    """
    if not 0 < maps * width < 2**31:
        raise ValueError(f"width: {width} must be above 0, and {maps} times it below 2**31")
    return max(1, round(maps * width))


def uniform_fan_in(key, shape, dtype=jnp.float32):
    """U(-2.4/F, 2.4/F), F the fan-in of a kernel [..., in, out]. LeCun et al. 1998, appendix A."""
    bound = 2.4 / math.prod(shape[:-1])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


INITIALISERS = dict(
    glorot=nn.initializers.glorot_uniform(),  # Glorot & Bengio 2010, eq. 16
    he_fan_in=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),  # He et al. 2015, eq. 10
    he_fan_out=nn.initializers.variance_scaling(2.0, "fan_out", "normal"),  # He et al. 2015, eq. 14
    lecun=nn.initializers.lecun_normal(),
    lecun_1998=uniform_fan_in,
    normal_01=nn.initializers.normal(0.01),  # Krizhevsky et al. 2012
    normal_1=nn.initializers.normal(0.1),  # Simonyan & Zisserman 2015 as printed: variance 0.01
    # Caffe's "xavier": U(-sqrt(3/fan_in), sqrt(3/fan_in))
    xavier_caffe=nn.initializers.lecun_uniform(),
)


def local_response_norm(
    x, *, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, groups: int = 1
):
    """b_i = a_i / (k + alpha sum_{j in window of `size` maps around i} a_j^2)^beta.

    Krizhevsky et al. 2012, section 3.3.

    x [..., C]. alpha multiplies the sum, as printed (Caffe and PyTorch divide theirs by `size`).
    groups: the number of towers; a window does not cross towers. Computed in float32.
    """
    towers = x.astype(jnp.float32).reshape(*x.shape[:-1], groups, -1)
    maps, reach = towers.shape[-1], size // 2
    squares = jnp.pad(
        jnp.square(towers), [(0, 0)] * (towers.ndim - 1) + [(reach, size - 1 - reach)]
    )
    total = sum(squares[..., i : i + maps] for i in range(size))
    return (towers * jnp.power(k + alpha * total, -beta)).reshape(x.shape).astype(x.dtype)


class BatchNorm(nn.Module):
    """y = scale (x - mean) / sqrt(var + epsilon) + bias, per channel.

    Ioffe & Szegedy 2015, algorithm 1.

    x [..., C] in any dtype. Statistics are float32 (float64 for a float64 x), computed in one pass:
    var = E[x^2] - E[x]^2 (biased). In float32 this loses digits if a channel lies far from 0. The
    relative error of var is about 1e-7 (mean / deviation)^2: 0.3% at 100 deviations from 0, and no
    digits remain at some thousands, so data must be centred. (A second pass costs a step of
    ResNet-20 1% and of a LeNet-5 with batch norm 4 to 8% on a CPU; a shifted pass costs more.)
    In training they are the statistics of the batch: of this device's share or, with `axis_name`,
    of the shares of all devices along that axis. The moving averages in "batch_stats" become
    momentum * old + (1 - momentum) * new. Outside training the moving averages are used.
    """

    axis_name: str | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5
    use_scale: bool = True

    @nn.compact
    def __call__(self, x, *, train: bool):
        channels = x.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        scale = self.param("scale", nn.initializers.ones, channels) if self.use_scale else 1.0
        bias = self.param("bias", nn.initializers.zeros, channels)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if train:
            axes = tuple(range(x.ndim - 1))
            moments = jnp.stack([wide.mean(axes), jnp.square(wide).mean(axes)])
            if self.axis_name is not None and not self.is_initializing():
                moments = jax.lax.pmean(moments, self.axis_name)
            m, v = moments[0], jnp.maximum(0.0, moments[1] - jnp.square(moments[0]))
            if not self.is_initializing():
                mean.value = self.momentum * mean.value + (1 - self.momentum) * m
                var.value = self.momentum * var.value + (1 - self.momentum) * v
        else:
            m, v = mean.value, var.value
        a = scale * jax.lax.rsqrt(v + self.epsilon)
        return (wide * a + (bias - m * a)).astype(x.dtype)


def recomputed(remat: bool, block):
    """block(module, x); `remat` recomputes its activations in the backward pass."""
    return nn.remat(block) if remat else block


BATCH_NORMS = ("none", "per_device", "synchronised")


def batch_norm(
    kind: str,
    *,
    axis_name: str | None,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    use_scale: bool = True,
):
    """A constructor of BatchNorm, or None for kind "none".

    kind: "per_device" normalises by the statistics of each device's share of the batch,
    "synchronised" by those of all devices.
    """
    if choose("batch_norm", kind, BATCH_NORMS) == "none":
        return None
    axis = axis_name if kind == "synchronised" else None
    return functools.partial(
        BatchNorm, axis_name=axis, momentum=momentum, epsilon=epsilon, use_scale=use_scale
    )


class Subsample(nn.Module):
    """Trainable subsampling, LeCun et al. 1998, section II-B.

    y = c (x00 + x01 + x10 + x11) + b, with one (c, b) per map.
    x [B, H, W, C] -> [B, H/2, W/2, C]; parameters "coefficient" and "bias", [C] each; drawn like
    weights of fan-in 4.
    """

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        maps = x.shape[-1]
        coefficient = self.param(
            "coefficient", lambda key, shape: uniform_fan_in(key, (4, *shape))[0], (maps,)
        )
        bias = self.param("bias", nn.initializers.zeros, (maps,))
        return sum_pool(x.astype(self.dtype), 2, 2) * coefficient.astype(self.dtype) + bias.astype(
            self.dtype
        )


def row_keys(key, rows: int, axis_name: str | None):
    """A key for each of this device's rows, derived from the row's position in the global batch.

    axis_name: the axis that divides the batch.
    """
    places = jnp.arange(rows)
    if axis_name is not None:
        places += rows * jax.lax.axis_index(axis_name)
    return jax.vmap(functools.partial(jax.random.fold_in, key))(places)


def dropout(x, key, rate: float, *, axis_name: str | None, shared: tuple[int, ...] = ()):
    """x [B, ...] with each value zeroed with probability `rate`, the others divided by 1 - rate.

    Srivastava et al. 2014.

    An example's mask depends on its row in the global batch, not on how many devices hold the
    batch; `axis_name` is the mapped axis that divides the batch, if there is one.
    shared: axes of an example along which the mask is the same.
    """
    shape = [1 if axis in shared else size for axis, size in enumerate(x.shape[1:])]
    keys = row_keys(key, x.shape[0], axis_name)
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, shape))(keys)
    return jnp.where(kept, x / (1 - rate), 0)


class Dropout(nn.Module):
    """Applies `dropout` in training, and does nothing otherwise."""

    rate: float
    axis_name: str | None = None
    shared: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        if not train or self.rate == 0:
            return x
        return dropout(
            x, self.make_rng("dropout"), self.rate, axis_name=self.axis_name, shared=self.shared
        )
