"""The residual unit of He et al. 2015 and 2016, with all variants of the 2016 tables 1 and 2."""

import functools
from typing import NamedTuple

import jax.numpy as jnp
from flax import linen as nn

from architectures.convolution import Conv
from architectures.layers import Dropout


class Order(NamedTuple):
    """What surrounds the weight layers W: B is batch norm, R is ReLU.

    hidden: each weight layer but the last, with what surrounds it; last: the same for the last one;
      after: what follows the addition.
    head: what follows the last unit of the network.
    """

    hidden: str
    last: str
    after: str
    head: str = ""

    @property
    def pre(self) -> str:
        """What comes before a unit's first weight layer."""
        return self.hidden[: self.hidden.index("W")]


ORDERS = dict(  # v2, table 2 and figure 4
    original=Order("WBR", "WB", "R"),
    bn_after_addition=Order("WBR", "W", "BR"),
    relu_before_addition=Order("WBR", "WBR", ""),
    # the place of BN is our interpretation of figure 4
    relu_only_preactivation=Order("RWB", "RWB", "", head="R"),
    full_preactivation=Order("BRW", "BRW", "", head="BR"),
)
SHORTCUTS = ("A", "B", "C", "none")
GATES = ("exclusive", "none", "shortcut_only")
STRIDES = ("1x1", "3x3", "last_unit")


class Unit(nn.Module):
    """y = f(h(x) + F(x)): x [B, H, W, C] -> [B, H / stride, W / stride, C'].

    F's weight layers are conv1, conv2(, conv3), each with its batch norm bn1, ...; bn_out is the
    one after the addition.

    width: maps of the 3 x 3 layers; a bottleneck's output has 4 times as many.
    shortcut: as in ResNet, or "identity".
    start: "activated", the network's first unit, whose x the stem has already normalised and
      activated; "changed", the first unit of a later stage; "same", any other. If a unit changes
      dimensions, its pre-activation serves both paths (v2, appendix). A projection has batch norm
      unless the pre-activation began with one.
    shortcut_scale, branch_scale: constants on h and F.
    gate: with g = sigmoid(1 x 1 convolution of x + gate_bias), "exclusive" gives h (1 - g) and F g;
      "shortcut_only" gives h (1 - g).
    shortcut_dropout: the rate of dropout on h.
    """

    width: int
    stride: int
    block: str
    order: str
    shortcut: str
    start: str
    stride_in: str
    shortcut_scale: float
    branch_scale: float
    gate: str
    gate_bias: float
    shortcut_dropout: float
    biases: str
    norm: functools.partial
    kernel_init: nn.initializers.Initializer
    dtype: jnp.dtype
    axis_name: str | None
    train: bool

    @nn.compact
    def __call__(self, x):
        order, layers = ORDERS[self.order], self._layers()
        features = layers[-1][0]
        activated = x if self.start == "activated" else self._apply(order.pre, x, "bn1")
        branch = activated
        for i, (maps, window, stride) in enumerate(layers, 1):
            kind = order.last if i == len(layers) else order.hidden
            if i == 1:
                kind = kind[len(order.pre) :]  # the unit's pre-activation is done
            before, after = kind.split("W")
            branch = self._apply(before, branch, f"bn{i}")
            use_bias = self.biases == "all" or (self.biases == "outer" and i == len(layers))
            branch = self.conv(
                maps, window, stride, use_bias, self.kernel_init, self.dtype, f"conv{i}"
            )(branch)
            branch = self._apply(after, branch, f"bn{i}")
        if self.shortcut != "none":
            branch = self._add(
                x,
                activated if self.start != "same" or self.shortcut == "C" else x,
                branch,
                features,
            )
        return self._apply(order.after, branch, "bn_out")

    def _layers(self) -> list[tuple[int, int, int]]:
        """(maps, window, stride) of each weight layer of F."""
        if self.block == "single":
            return [(self.width, 3, self.stride)]
        if self.block == "basic":
            return [(self.width, 3, self.stride), (self.width, 3, 1)]
        early = self.stride if self.stride_in == "1x1" else 1
        return [
            (self.width, 1, early),
            (self.width, 3, self.stride // early),
            (4 * self.width, 1, 1),
        ]

    @staticmethod
    def conv(features, window, stride, use_bias, init, dtype, name):
        """A convolution padded as in the papers' code: half a window on each side."""
        options = dict(
            padding=window // 2, use_bias=use_bias, kernel_init=init, dtype=dtype, name=name
        )
        return Conv(features, (window, window), stride, **options)

    def _apply(self, kinds: str, x, name: str):
        for kind in kinds:
            x = nn.relu(x) if kind == "R" else self.norm(name=name)(x, train=self.train)
        return x

    def _add(self, x, source, branch, features):
        changes = self.stride > 1 or x.shape[-1] != features
        h = source
        if self.shortcut == "C" or (self.shortcut == "B" and changes):
            options = (
                features,
                1,
                self.stride,
                self.biases != "none",
                self.kernel_init,
                self.dtype,
                "projection",
            )
            h = self.conv(*options)(source)
            if not ORDERS[self.order].pre.startswith("B"):
                h = self.norm(name="projection_bn")(h, train=self.train)
        elif changes:
            h = source[:, :: self.stride, :: self.stride]
            h = jnp.pad(h, ((0, 0), (0, 0), (0, 0), (0, features - h.shape[-1])))
        if self.gate != "none":
            bias = nn.initializers.constant(self.gate_bias)
            kernel = dict(
                kernel_init=self.kernel_init, bias_init=bias, dtype=self.dtype, name="gate"
            )
            g = nn.sigmoid(Conv(features, (1, 1), self.stride, padding=0, **kernel)(x))
            h, branch = h * (1 - g), branch * g if self.gate == "exclusive" else branch
        h = Dropout(self.shortcut_dropout, self.axis_name)(h, train=self.train)
        return self.shortcut_scale * h + self.branch_scale * branch
