"""BN-Inception and Inception v3.

Ioffe & Szegedy, "Batch normalization", arXiv 1502.03167, 2015; Szegedy et al., "Rethinking the
Inception architecture for computer vision", arXiv 1512.00567, 2015.
"""

import functools
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.convolution import Conv
from architectures.googlenet import STEMS, answers, units
from architectures.layers import ACTIVATIONS, INITIALISERS, Dropout, choose, recomputed
from architectures.pooling import avg_pool, max_pool

# appendix: #1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool projection, stride, pool
BN_MODULES = {
    "inception_3a": (64, 64, 64, 64, 96, 32, 1, "avg"),
    "inception_3b": (64, 64, 96, 64, 96, 64, 1, "avg"),
    "inception_3c": (0, 128, 160, 64, 96, 0, 2, "max"),
    "inception_4a": (224, 64, 96, 96, 128, 128, 1, "avg"),
    "inception_4b": (192, 96, 128, 96, 128, 128, 1, "avg"),
    "inception_4c": (160, 128, 160, 128, 160, 96, 1, "avg"),
    "inception_4d": (96, 128, 192, 160, 192, 96, 1, "avg"),
    "inception_4e": (0, 128, 192, 192, 256, 0, 2, "max"),
    "inception_5a": (352, 192, 320, 160, 224, 128, 1, "avg"),
    "inception_5b": (352, 192, 320, 192, 224, 128, 1, "max"),
}
# the Caffe port: 608 maps where the paper has 576
WIDE_PROJECTIONS = {"inception_4c": 128, "inception_4d": 128}


class BNInception(nn.Module):
    """BN-Inception ("v2"): images [B, 224, 224, 3] -> [B, outputs].

    No public version has the 13.6M parameters that the paper reports. At 1000 outputs this network
    has 11,194,984, or 11,188,288 with the separable conv1 of the authors' later code, or 11,295,240
    as in the Caffe port (wide_projections, biases). Average pools inside modules count their
    padding as zeros, as that port does; the authors' later code excludes it.

    separable: conv1 is a depthwise 7 x 7 convolution with multiplier 8, then 1 x 1.
    wide_projections: 4c and 4d project their pool to 128 maps, not 96.
    biases: convolutions have biases before batch norm.
    activation: one of ACTIVATIONS; with batch_norm "none" and biases this is the baseline
      "Inception" of section 4.2.
    dropout, bn_momentum, bn_epsilon, stem, width, remat: as in GoogLeNet.
    initialiser: one of INITIALISERS; the paper does not state one.

    Raises ValueError, one line, for an unknown choice.
    """

    outputs: int
    separable: bool = False
    wide_projections: bool = False
    biases: bool = False
    activation: str = "relu"
    batch_norm: str = "synchronised"
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-3
    dropout: float = 0.0
    initialiser: str = "he_fan_in"
    width: float = 1.0
    stem: str = "imagenet"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)
    image: ClassVar[tuple[int, ...]] = (224, 224, 3)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        large = choose("stem", self.stem, STEMS) == "imagenet"
        choose("activation", self.activation, ACTIVATIONS)
        init = choose("initialiser", self.initialiser, INITIALISERS)
        conv = functools.partial(units(self, train, self.biases), activation=self.activation)
        strides = 2 if large else 1
        if self.separable:
            options = dict(
                padding=3,
                feature_group_count=x.shape[-1],
                use_bias=False,
                dtype=self.dtype,
                kernel_init=init,
            )
            x = Conv(8 * x.shape[-1], (7, 7), strides, name="conv1_depthwise", **options)(x)
            x = conv(64, 1, "conv1")(x)
        else:
            x = conv(64, 7, "conv1", strides=strides, padding=3)(x)
        x = max_pool(x, 3, 2, "ceil") if large else x
        x = conv(192, 3, "conv2", padding=1)(conv(64, 1, "conv2_reduce")(x))
        x = max_pool(x, 3, 2, "ceil") if large else x
        for name, maps in BN_MODULES.items():
            if self.wide_projections and name in WIDE_PROJECTIONS:
                maps = (*maps[:5], WIDE_PROJECTIONS[name], *maps[6:])
            x = recomputed(self.remat, BNInceptionModule.__call__)(
                BNInceptionModule(maps, conv, name=name), x
            )
        x = Dropout(self.dropout, self.axis_name)(x.mean((1, 2)), train=train)
        return nn.Dense(self.outputs, kernel_init=init, dtype=self.dtype, name="classifier")(
            x
        ).astype(jnp.float32)


class BNInceptionModule(nn.Module):
    """GoogLeNet's module with two 3 x 3 convolutions in place of the 5 x 5 one.

    At stride 2 it has no 1 x 1 branch, and its pool has no projection.
    """

    maps: tuple
    conv: functools.partial

    @nn.compact
    def __call__(self, x):
        n1, reduce3, n3, reduce_double, double, projection, strides, pool = self.maps
        conv, (height, width) = self.conv, x.shape[1:3]
        if strides == 2 and (height % 2 or width % 2):
            raise ValueError(
                f"maps of {height} x {width} cannot be halved; use images of a multiple of 32 "
                "pixels"
            )
        branches = [conv(n1, 1, "1x1")(x)] if n1 else []
        branches.append(
            conv(n3, 3, "3x3", strides=strides, padding=1)(conv(reduce3, 1, "3x3_reduce")(x))
        )
        y = conv(double, 3, "double3x3_1", padding=1)(conv(reduce_double, 1, "double3x3_reduce")(x))
        branches.append(conv(double, 3, "double3x3_2", strides=strides, padding=1)(y))
        if strides == 2:
            branches.append(max_pool(x, 3, 2, "ceil"))
        else:
            pooled = avg_pool(x, 3, 1, 1) if pool == "avg" else max_pool(x, 3, 1, 1)
            branches.append(conv(projection, 1, "pool_proj")(pooled))
        return jnp.concatenate(branches, axis=-1)


V3_STEM = (  # name, maps, window, stride, padding; None: max pool 3 x 3 at stride 2
    ("conv1a", 32, 3, 2, "VALID"),
    ("conv2a", 32, 3, 1, "VALID"),
    ("conv2b", 64, 3, 1, "SAME"),
    None,
    ("conv3b", 80, 1, 1, "VALID"),
    ("conv4a", 192, 3, 1, "VALID"),
    None,
)


class InceptionV3(nn.Module):
    """Inception v3 as released: images [B, 299, 299, 3] -> [B, outputs].

    In training it returns a tuple: these logits and the auxiliary head's.
    It has 23,834,568 parameters at 1000 outputs, 27,161,264 with the auxiliary head (after the last
    17 x 17 module). The stem follows the released network, which differs from the printed outline.
    Convolutions have no bias; batch norm and ReLU follow them.

    factorised7: the stem begins with three 3 x 3 convolutions; if False, with one 7 x 7, as in
      "Inception-v2" of table 3.
    auxiliary_norm: the head's 768 units, its first fully connected layer, are batch-normalised; not
      so in "Inception-v2".
    bn_scale: batch norm has a scale (Keras's does not).
    pool_padding: average pools count padding as zeros ("counted", PyTorch) or leave it out
      ("excluded", TensorFlow).
    stem: "imagenet", or "small" for images of 32 pixels: the stem's strides and pools are removed,
      and the head's too, whose second convolution then sees its whole map.
    batch_norm: one of BATCH_NORMS.
    dropout, bn_momentum, bn_epsilon, width, remat: as in GoogLeNet.
    initialiser: one of INITIALISERS; the paper does not state one.

    Raises ValueError, one line, for an unknown choice, or for an image of fewer than 75 pixels with
    stem="imagenet".
    """

    outputs: int
    auxiliary: bool = True
    auxiliary_norm: bool = True
    factorised7: bool = True
    dropout: float = 0.5
    batch_norm: str = "synchronised"
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-3
    bn_scale: bool = True
    pool_padding: str = "excluded"
    initialiser: str = "he_fan_in"
    width: float = 1.0
    stem: str = "imagenet"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)
    image: ClassVar[tuple[int, ...]] = (299, 299, 3)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        large = choose("stem", self.stem, STEMS) == "imagenet"
        counted = choose("pool_padding", self.pool_padding, ("counted", "excluded")) == "counted"
        least = 75 if large else 15
        if min(x.shape[1:3]) < least:
            raise ValueError(
                f"stem: {self.stem!r} needs images of at least {least} pixels a side, not "
                f"{min(x.shape[1:3])}"
            )
        conv = units(self, train, False, use_scale=self.bn_scale)
        auxiliary = []
        for layer in V3_STEM if self.factorised7 else (("conv1", 64, 7, 2, "VALID"), *V3_STEM[3:]):
            if layer is None:
                x = max_pool(x, 3, 2) if large else x
            else:
                name, maps, window, strides, padding = layer
                x = conv(
                    maps,
                    window,
                    name,
                    strides=strides if large else 1,
                    padding=padding if large else "SAME",
                )(x)

        def module(*branches, name, pool):
            once = recomputed(self.remat, InceptionModule.__call__)
            return functools.partial(
                once, InceptionModule(branches, pool, counted, conv, name=name)
            )

        for name, projection in dict(mixed_5b=32, mixed_5c=64, mixed_5d=64).items():
            one, five, double = [(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]
            x = module(one, five, double, name=name, pool=projection)(x)
        x = module([(384, 3, 2)], [(64, 1), (96, 3), (96, 3, 2)], name="mixed_6a", pool=0)(x)
        for name, c7 in dict(mixed_6b=128, mixed_6c=160, mixed_6d=160, mixed_6e=192).items():
            seven = [(c7, 1), (c7, (1, 7)), (192, (7, 1))]
            double = [(c7, 1), (c7, (7, 1)), (c7, (1, 7)), (c7, (7, 1)), (192, (1, 7))]
            x = module([(192, 1)], seven, double, name=name, pool=192)(x)
        init = choose("initialiser", self.initialiser, INITIALISERS)
        if self.auxiliary and (train or self.is_initializing()):
            y = conv(128, 1, "auxiliary_conv0")(avg_pool(x, 5, 3) if large else x)
            plain = {} if self.auxiliary_norm else dict(norm=None, use_bias=True)
            y = conv(
                768, y.shape[1:3] if not large else 5, "auxiliary_conv1", padding="VALID", **plain
            )(y).mean((1, 2))
            auxiliary.append(
                nn.Dense(self.outputs, kernel_init=init, dtype=self.dtype, name="auxiliary_fc")(y)
            )
        seven = [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)]
        x = module([(192, 1), (320, 3, 2)], seven, name="mixed_7a", pool=0)(x)
        for name in ("mixed_7b", "mixed_7c"):
            split = [(384, (1, 3)), (384, (3, 1))]
            x = module(
                [(320, 1)], [(384, 1), split], [(448, 1), (384, 3), split], name=name, pool=192
            )(x)
        x = Dropout(self.dropout, self.axis_name)(x.mean((1, 2)), train=train)
        main = nn.Dense(self.outputs, kernel_init=init, dtype=self.dtype, name="classifier")(
            x
        ).astype(jnp.float32)
        return answers(main, [y.astype(jnp.float32) for y in auxiliary], train)


class InceptionModule(nn.Module):
    """Branches of convolutions side by side, then a pool: figures 5 to 7 and 10 of the paper.

    branches: lists of (maps, window[, stride]); a list in place of the last one is a split.
    pool: the maps that the average pool is projected to; 0 for a max pool at stride 2 without a
    projection. Layers are named branch<b>_<l>, with a and b for the parts of a split, and pool."""

    branches: tuple
    pool: int
    counted: bool
    conv: functools.partial

    @nn.compact
    def __call__(self, x):
        def layer(x, spec, name):
            maps, window, *stride = spec
            return self.conv(
                maps, window, name, **(dict(strides=2, padding="VALID") if stride else {})
            )(x)

        out = []
        for b, branch in enumerate(self.branches, 1):
            y = x
            for i, spec in enumerate(branch, 1):
                name = f"branch{b}_{i}"
                if isinstance(spec[0], int):
                    y = layer(y, spec, name)
                else:
                    y = jnp.concatenate(
                        [
                            layer(y, part, name + side)
                            for part, side in zip(spec, "ab", strict=True)
                        ],
                        axis=-1,
                    )
            out.append(y)
        if self.pool:
            out.append(
                self.conv(self.pool, 1, "pool")(avg_pool(x, 3, 1, 1, count_padding=self.counted))
            )
        else:
            out.append(max_pool(x, 3, 2))
        return jnp.concatenate(out, axis=-1)
