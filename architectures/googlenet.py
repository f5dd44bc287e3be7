"""GoogLeNet. Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842, 2014."""

import functools
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.convolution import Conv
from architectures.layers import (
    ACTIVATIONS,
    INITIALISERS,
    Dropout,
    batch_norm,
    check_numbers,
    choose,
    local_response_norm,
    recomputed,
    scaled,
)
from architectures.pooling import adaptive_avg_pool, avg_pool, max_pool

STEMS = ("imagenet", "small")
MODULES = {  # Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
# Caffe's GoogLeNet; the paper gives no constants
LRN = dict(size=5, k=1.0, alpha=1e-4 / 5, beta=0.75)


class ConvUnit(nn.Module):
    """Convolution, batch norm, activation: [B, H, W, C] -> [B, H', W', features].

    Batch norm is left out if `norm` is None. The activation is ReLU or another of ACTIVATIONS.
    """

    features: int
    window: tuple[int, int]
    train: bool
    strides: int = 1
    padding: str | int | tuple = "SAME"
    norm: functools.partial | None = None
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    activation: str = "relu"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = Conv(
            self.features,
            self.window,
            self.strides,
            self.padding,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            dtype=self.dtype,
            name="conv",
        )(x)
        return ACTIVATIONS[self.activation](
            self.norm(name="bn")(x, train=self.train) if self.norm else x
        )


def units(model, train: bool, use_bias: bool, **norm_options):
    """A function conv(features, window, name, ...) that makes the ConvUnits of `model`.

    It reads the fields of `model`. A window is a side or (height, width); the caller chooses the
    names. Widths are multiplied by model.width.
    """
    check_numbers(model)
    norm = batch_norm(
        model.batch_norm,
        axis_name=model.axis_name,
        momentum=model.bn_momentum,
        epsilon=model.bn_epsilon,
        **norm_options,
    )
    init = choose("initialiser", model.initialiser, INITIALISERS)

    def conv(features, window, name, **options):
        window = (window, window) if isinstance(window, int) else window
        shared = dict(
            train=train, norm=norm, use_bias=use_bias, kernel_init=init, dtype=model.dtype
        )
        return ConvUnit(scaled(features, model.width), window, name=name, **(shared | options))

    return conv


def answers(main, auxiliary, train: bool):
    """What a model with auxiliary heads returns: the logits; in training also the heads' logits."""
    return (main, *auxiliary) if train and auxiliary else main


class GoogLeNet(nn.Module):
    """GoogLeNet, Table 1: images [B, 224, 224, 3] -> [B, outputs].

    In training it returns a tuple: these logits and those of the two auxiliary heads.
    As printed: 6,998,552 parameters at 1000 outputs, 13,378,280 with the auxiliary heads.

    auxiliary: the heads after 4a and 4d (section 5). Their losses are weighted by
      task.auxiliary_weight, 0.3 in the paper.
    reduction: the 1 x 1 convolutions before 3 x 3 and 5 x 5 and after the pool; without them the
      module is the naive one, figure 2a.
    lrn: response normalisation around conv2.
    window5: the window of the "5 x 5" branch; torchvision's is 3.
    pool4: the window of the pool before 5a; torchvision's is 2.
    auxiliary_pool: "paper", 5 x 5 at stride 3, or "adaptive", to 4 x 4 whatever the size
      (torchvision's; for small images).
    dropout: before the classifier.  auxiliary_dropout: before the heads' classifiers. Both are
      shares of dropped units.
    batch_norm: "none" as in the paper, or one of BATCH_NORMS.
    bn_momentum, bn_epsilon: see BatchNorm.
    initialiser: one of INITIALISERS; the paper does not state one, "xavier_caffe" is Caffe's.
    bias: the initial biases without batch norm, except the classifiers' (Caffe's is 0.2).
    width: a factor on all maps, not on the heads' 1024 units.
    stem: "imagenet", or "small" for images of 32 pixels, where conv1 and the two pools around conv2
      keep the size.
    remat: recompute the values inside a module in the backward pass instead of keeping them.

    Raises ValueError, one line, for an unknown choice.
    """

    outputs: int
    auxiliary: bool = True
    reduction: bool = True
    lrn: bool = True
    window5: int = 5
    pool4: int = 3
    auxiliary_pool: str = "paper"
    dropout: float = 0.4
    auxiliary_dropout: float = 0.7
    batch_norm: str = "none"
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-3
    initialiser: str = "xavier_caffe"
    bias: float = 0.2
    width: float = 1.0
    stem: str = "imagenet"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)
    image: ClassVar[tuple[int, ...]] = (224, 224, 3)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        choose("stem", self.stem, STEMS)
        choose("auxiliary_pool", self.auxiliary_pool, ("adaptive", "paper"))
        init, bias = (
            choose("initialiser", self.initialiser, INITIALISERS),
            nn.initializers.constant(self.bias),
        )
        conv = functools.partial(units(self, train, self.batch_norm == "none"), bias_init=bias)
        dense = functools.partial(nn.Dense, kernel_init=init, dtype=self.dtype)
        auxiliary = []

        def normalise(x):
            return local_response_norm(x, **LRN) if self.lrn else x

        def head(x, name):
            if self.auxiliary and (train or self.is_initializing()):
                if self.auxiliary_pool == "paper" and min(x.shape[1:3]) < 5:
                    seen = " x ".join(map(str, x.shape[1:3]))
                    raise ValueError(
                        f"auxiliary_pool: 'paper' needs at least 5 x 5 places, this image leaves "
                        f"{seen}; use 'adaptive'"
                    )
                x = (
                    adaptive_avg_pool(x, 4)
                    if self.auxiliary_pool == "adaptive"
                    else avg_pool(x, 5, 3)
                )
                x = conv(128, 1, f"{name}_conv")(x)
                x = nn.relu(
                    dense(1024, bias_init=bias, name=f"{name}_fc")(x.reshape(x.shape[0], -1))
                )
                x = Dropout(self.auxiliary_dropout, self.axis_name)(x, train=train)
                auxiliary.append(
                    dense(self.outputs, name=f"{name}_classifier")(x).astype(jnp.float32)
                )

        large = self.stem == "imagenet"
        x = conv(64, 7, "conv1", strides=2 if large else 1, padding=3)(x)
        x = normalise(max_pool(x, 3, 2, "ceil") if large else x)
        x = conv(64, 1, "conv2_reduce")(x)
        x = normalise(conv(192, 3, "conv2", padding=1)(x))
        x = max_pool(x, 3, 2, "ceil") if large else x
        for name in MODULES:
            if name == "inception_4a":
                x = max_pool(x, 3, 2, "ceil")
            if name == "inception_5a":
                x = max_pool(x, self.pool4, 2, "ceil")
            x = recomputed(self.remat, Inception.__call__)(
                Inception(MODULES[name], self.window5, self.reduction, conv, name=name), x
            )
            if name in ("inception_4a", "inception_4d"):
                head(x, "auxiliary1" if name == "inception_4a" else "auxiliary2")
        x = Dropout(self.dropout, self.axis_name)(x.mean((1, 2)), train=train)
        return answers(
            dense(self.outputs, name="classifier")(x).astype(jnp.float32), auxiliary, train
        )


class Inception(nn.Module):
    """The Inception module, figure 2b, or without `reduction` 2a: [B, H, W, C] -> [B, H, W, C']."""

    maps: tuple[int, ...]
    window5: int
    reduction: bool
    conv: functools.partial

    @nn.compact
    def __call__(self, x):
        n1, reduce3, n3, reduce5, n5, pool = self.maps
        of3 = self.conv(reduce3, 1, "3x3_reduce")(x) if self.reduction else x
        of5 = self.conv(reduce5, 1, "5x5_reduce")(x) if self.reduction else x
        pooled = max_pool(x, 3, 1, 1)
        branches = [
            self.conv(n1, 1, "1x1")(x),
            self.conv(n3, 3, "3x3")(of3),
            self.conv(n5, self.window5, "5x5")(of5),
            self.conv(pool, 1, "pool_proj")(pooled) if self.reduction else pooled,
        ]
        return jnp.concatenate(branches, axis=-1)
