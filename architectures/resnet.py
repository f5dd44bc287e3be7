"""ResNet.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", arXiv 1512.03385, 2015 ("v1");
"Identity mappings in deep residual networks", arXiv 1603.05027, 2016 ("v2").
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.layers import INITIALISERS, batch_norm, check_numbers, choose, recomputed
from architectures.pooling import max_pool
from architectures.residual_unit import GATES, ORDERS, SHORTCUTS, STRIDES, Unit

IMAGENET = {  # v1, table 1, and v2, section 4: units of conv2_x to conv5_x
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}
LAYERS_PER_N = dict(basic=6, bottleneck=9, single=3)  # CIFAR networks: 6n+2 and so on
STEMS = ("cifar", "imagenet")


class ResNet(nn.Module):
    """ResNets of both papers and their plain counterparts: images [B, H, W, C] -> [B, outputs].

    stem: "imagenet" (v1, table 1) or "cifar" (v1, section 4.2).
    depth: 18, 34, 50, 101, 152 or 200; with "cifar" 6n+2, 9n+2 for bottleneck and 3n+2 for single
      units.
    block: "basic", two 3 x 3 layers; "bottleneck"; "single", one 3 x 3 layer (v2, table 3); "auto",
      chosen by the depth (basic with "cifar").
    order: one of ORDERS (v2, table 2).
    shortcut: "A", identity, subsampled and padded with zero maps at the end; "B", 1 x 1 projections
      where dimensions change; "C", projections everywhere; "none", the plain network.
    stride_in: "1x1", the first layer of a bottleneck (the paper); "3x3" ("v1.5"); "last_unit", the
      3 x 3 layer of a stage's last unit (Keras's v2).
    shortcut_scale, branch_scale, gate, gate_bias, shortcut_dropout: v2, table 1 (see `Unit`).
    pool: the padding of the stem's pool: "ceil" (Caffe); "padded", one pixel on each side
      (PyTorch); "zeros", such pixels that count as zeros, which matters if the pool comes before
      the ReLU (Keras's v2).
    activate: with pre-activation, the stem's batch norm and ReLU come "before_pool" or
      "after_pool".
    biases: of convolutions: "none"; "all" (Keras's v1); "outer", only those of conv1, projections
      and last layers (Keras's v2).
    width: maps of the first stage's 3 x 3 layers, doubled from stage to stage; 0 for the paper's,
      64 or 16.
    batch_norm: one of BATCH_NORMS except "none".
    bn_momentum, bn_epsilon: see BatchNorm; the authors' released networks have exact averages over
      many training images instead of moving averages.
    initialiser: one of INITIALISERS, also for the last layer.
    scan_from: a stage with at least this many identical units runs them as a loop over stacked
      parameters; with fewer the loop is unrolled. The parameters are stacked in both cases, so
      checkpoints fit both. A loop compiles faster. On a CPU its step took 1.2 times the unrolled
      loop's time with 4 to 8 units and 0.98 times with 17 (`python -m scripts.bench depth`).
    remat: recompute the values inside a unit in the backward pass instead of keeping them.

    Raises ValueError, one line, for an unknown choice or depth.
    """

    outputs: int
    depth: int = 50
    stem: str = "imagenet"
    block: str = "auto"
    order: str = "original"
    shortcut: str = "B"
    stride_in: str = "1x1"
    shortcut_scale: float = 1.0
    branch_scale: float = 1.0
    gate: str = "none"
    gate_bias: float = -6.0
    shortcut_dropout: float = 0.0
    pool: str = "ceil"
    activate: str = "before_pool"
    biases: str = "none"
    width: int = 0
    batch_norm: str = "synchronised"
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    initialiser: str = "he_fan_out"
    scan_from: int = 9
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)

    @property
    def image(self) -> tuple[int, ...]:
        return (224, 224, 3) if self.stem == "imagenet" else (32, 32, 3)

    def stages(self) -> tuple[str, tuple[int, ...]]:
        """(block, units of each stage) of this depth."""
        block = self.block
        if self.stem == "imagenet":
            if self.depth not in IMAGENET:
                raise ValueError(
                    f"depth: unknown {self.depth}; choose from {', '.join(map(str, IMAGENET))}, or "
                    "set stem='cifar'"
                )
            own, units = IMAGENET[self.depth]
            return own if block == "auto" else block, units
        block = "basic" if block == "auto" else block
        n, rest = divmod(self.depth - 2, LAYERS_PER_N[block])
        if rest or n < 1:
            raise ValueError(
                f"depth: {self.depth} is not {LAYERS_PER_N[block]}n + 2, as {block} units need"
            )
        return block, (n,) * 3

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        choices = dict(
            stem=STEMS, block=("auto", *LAYERS_PER_N), order=ORDERS, shortcut=SHORTCUTS, gate=GATES
        )
        choices |= dict(
            stride_in=STRIDES,
            pool=("ceil", "padded", "zeros"),
            activate=("after_pool", "before_pool"),
        )
        for what, have in (
            choices
            | dict(biases=("all", "none", "outer"), batch_norm=("per_device", "synchronised"))
        ).items():
            choose(what, getattr(self, what), have)
        check_numbers(self)
        scaled = self.shortcut_scale != 1 or self.branch_scale != 1
        if self.shortcut == "none" and (self.gate != "none" or self.shortcut_dropout or scaled):
            raise ValueError(
                "shortcut: 'none' cannot be used with gate, shortcut_dropout or the two scales; "
                "choose from A, B, C"
            )
        if self.activate == "after_pool" and not ORDERS[self.order].pre:
            raise ValueError(
                f"activate: 'after_pool' does nothing with order={self.order!r}, which has no "
                "pre-activation"
            )
        init = choose("initialiser", self.initialiser, INITIALISERS)
        norm = batch_norm(
            self.batch_norm,
            axis_name=self.axis_name,
            momentum=self.bn_momentum,
            epsilon=self.bn_epsilon,
        )
        block, stages = self.stages()
        order, imagenet = ORDERS[self.order], self.stem == "imagenet"
        width = self.width or (64 if imagenet else 16)
        own = (
            "order",
            "stride_in",
            "shortcut_scale",
            "branch_scale",
            "gate",
            "gate_bias",
            "shortcut_dropout",
            "biases",
        )
        common = {name: getattr(self, name) for name in (*own, "dtype", "axis_name")}
        common |= dict(block=block, norm=norm, kernel_init=init, train=train)

        once = recomputed(self.remat, Unit.__call__)

        def pooled(x):
            if self.pool == "zeros" and imagenet:
                x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            return (
                max_pool(x, 3, 2, dict(ceil="ceil", padded=1, zeros=0)[self.pool])
                if imagenet
                else x
            )

        x = Unit.conv(
            width,
            7 if imagenet else 3,
            2 if imagenet else 1,
            self.biases != "none",
            init,
            self.dtype,
            "conv1",
        )(x)
        after_pool = order.pre and self.activate == "after_pool"
        x = nn.relu(norm(name="bn1")(pooled(x) if after_pool else x, train=train))
        x = x if after_pool else pooled(x)
        for i, units in enumerate(stages):
            stride, name = 2 if i else 1, f"conv{i + 2}_x"
            late = self.stride_in == "last_unit"
            if late:  # all stages but the last
                stride = 2 if i + 1 < len(stages) else 1
            if late and units == 1 and stride == 2:
                raise ValueError(
                    f"stride_in: 'last_unit' needs more than the one unit of {name!r}; use more "
                    "depth, or 3x3"
                )
            shared, first = common | dict(width=width * 2**i), "activated" if i == 0 else "changed"
            options = shared | dict(
                stride=1 if late else stride, shortcut=self.shortcut, start=first
            )
            x = once(Unit(**options, name=f"{name}_first"), x)
            rest = (
                "C" if self.shortcut == "C" else "none" if self.shortcut == "none" else "identity"
            )
            same = units - 1 - (late and units > 1)
            if same:
                unit = Unit(**shared, stride=1, shortcut=rest, start="same", name=f"{name}_rest")
                x = self._repeat(unit, same, x)
            if late and units > 1:
                x = once(
                    Unit(**shared, stride=stride, shortcut=rest, start="same", name=f"{name}_last"),
                    x,
                )
        if order.head == "BR":
            x = norm(name="bn_last")(x, train=train)
        if order.head:
            x = nn.relu(x)
        dense = nn.Dense(self.outputs, kernel_init=init, dtype=self.dtype, name="fc")
        return dense(x.mean((1, 2))).astype(jnp.float32)

    def _repeat(self, unit, times, x):
        """x through `times` units like `unit`, whose parameters are stacked on axis 0."""
        once = recomputed(self.remat, Unit.__call__)
        loop = nn.scan(
            lambda unit, x, _: (once(unit, x), None),
            variable_axes=dict(params=0, batch_stats=0),
            split_rngs=dict(params=True, dropout=True),
            length=times,
            unroll=1 if times >= self.scan_from or self.is_initializing() else times,
        )
        return loop(unit, x, None)[0]
