"""AlexNet.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
NIPS 2012; Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv
1404.5997, 2014.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.convolution import Conv
from architectures.layers import (
    ACTIVATIONS,
    INITIALISERS,
    Dropout,
    check_numbers,
    choose,
    local_response_norm,
    recomputed,
    scaled,
)
from architectures.pooling import adaptive_avg_pool, max_pool

TOWERS_2012 = (96, 256, 384, 384, 256)  # maps of conv1 to conv5, both towers together
SINGLE_2014 = (64, 192, 384, 256, 256)
OTHER_SIZES = ("dense", "dense_from_pooled", "pooled", "refused")


def fully_connected(model, x, window: int, *, train: bool, activation, init):
    """fc6, fc7, fc8 of `model`, AlexNet or VGG: maps [B, H, W, C] -> [B, outputs] in float32.

    fc6 is a convolution whose window is the whole map of a training image. model.other_sizes, one
    of OTHER_SIZES, chooses what happens to images of another size:
    "dense": a larger image gives a map of class scores, which is averaged (dense evaluation,
      Simonyan & Zisserman 2015, section 3.2).
    "pooled": maps are averaged to the size of a training image's map (torchvision).
    "dense_from_pooled": the same, but only for sides that are too small (timm).
    "refused": an error (Keras).
    init: layer name -> (kernel initialiser, bias initialiser).
    """
    sizes = choose("other_sizes", model.other_sizes, OTHER_SIZES)
    if sizes == "refused" and x.shape[1:3] != (window, window):
        raise ValueError(
            f"image_size: only {model.image_size} x {model.image_size} is accepted; fc6 sees "
            f"{window} x {window} positions, the image has {x.shape[1]} x {x.shape[2]}"
        )
    if sizes == "pooled":
        x = adaptive_avg_pool(x, window)
    if sizes == "dense_from_pooled":
        x = adaptive_avg_pool(x, tuple(max(side, window) for side in x.shape[1:3]))
    if min(x.shape[1:3]) < window:
        has = f"the image has only {x.shape[1]} x {x.shape[2]}"
        raise ValueError(
            f"image_size: fc6 sees {window} x {window} positions, {has}; set it to the size of the "
            "data's images"
        )

    def layer(kind, units, *window, name, **options):
        kernel, bias = init(name)
        return kind(
            units,
            *window,
            kernel_init=kernel,
            bias_init=bias,
            dtype=model.dtype,
            name=name,
            **options,
        )

    def dropped(x):
        return Dropout(model.dropout, model.axis_name)(activation(x), train=train)

    hidden = scaled(model.hidden, model.width)
    x = dropped(layer(Conv, hidden, (window, window), padding="VALID", name="fc6")(x))
    x = dropped(layer(nn.Dense, hidden, name="fc7")(x))
    return layer(nn.Dense, model.outputs, name="fc8")(x).astype(jnp.float32).mean((1, 2))


class AlexNet(nn.Module):
    """AlexNet: images [B, 224, 224, 3] -> [B, outputs].

    As printed in 2012 it has 60,965,224 parameters at 1000 outputs.

    maps: of conv1 to conv5; 0 removes a layer (section 7 removes middle ones).
    groups: the number of towers, which conv2, conv4 and conv5 do not cross.
    lrn: response normalisation after conv1 and conv2, within a tower, with the printed constants.
    overlap: pooling windows of 3 at stride 2; if False, of 2.
    conv1_padding: pixels before and after. (0, 3) is the 2012 code's padding, where missing pixels
      at the lower right count as zeros; (0, 0) fits 227 x 227; (2, 2) is torchvision's.
    activation: one of ACTIVATIONS.
    dropout: after fc6 and fc7, as printed; torchvision has it before them.
    initialiser: one of INITIALISERS, for all kernels; "normal_01" is the paper's.
    bias: the initial biases of conv2, conv4, conv5, fc6 and fc7 (1 as printed; 0.1 if the loss
      stays flat); the other biases start at 0.
    width: a factor on all maps and hidden units.
    image_size: the side of the training images.
    other_sizes: what happens to images of other sizes, see `fully_connected`.
    remat: recompute the maps between the image and fc6 in the backward pass instead of keeping
      them.

    Raises ValueError, one line, for an unknown choice or an image that is too small.
    """

    outputs: int
    maps: tuple = TOWERS_2012
    hidden: int = 4096
    groups: int = 2
    lrn: bool = True
    overlap: bool = True
    activation: str = "relu"
    dropout: float = 0.5
    initialiser: str = "normal_01"
    bias: float = 1.0
    conv1_padding: tuple = (0, 3)
    width: float = 1.0
    image_size: int = 224
    other_sizes: str = "dense"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)

    @property
    def image(self) -> tuple[int, ...]:
        return (self.image_size, self.image_size, 3)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        activation = choose("activation", self.activation, ACTIVATIONS)
        kernel = choose("initialiser", self.initialiser, INITIALISERS)
        check_numbers(self)
        for name, count in dict(maps=5, conv1_padding=2).items():
            numbers = getattr(self, name)
            if len(numbers) != count or not all(isinstance(n, int) and n >= 0 for n in numbers):
                raise ValueError(f"{name}: {numbers} must be {count} whole numbers of at least 0")
        widths = [maps and scaled(maps, self.width) for maps in self.maps]
        if not widths[0] or any(maps % self.groups for maps in widths):
            raise ValueError(
                f"maps: {tuple(widths)} must be multiples of groups={self.groups}, the first "
                "above 0"
            )
        if self._window < 1:
            raise ValueError(
                f"image_size: {self.image_size} is too small for AlexNet's three pools; set it to "
                "the size of the data's images"
            )

        def init(name):
            ones = name in ("conv2", "conv4", "conv5", "fc6", "fc7")
            return kernel, nn.initializers.constant(self.bias if ones else 0.0)

        def conv(x, i, window, **options):
            if not widths[i - 1]:
                return x
            kernel_init, bias_init = init(f"conv{i}")
            options |= dict(
                kernel_init=kernel_init, bias_init=bias_init, dtype=self.dtype, name=f"conv{i}"
            )
            x = activation(Conv(widths[i - 1], (window, window), **options)(x))
            return local_response_norm(x, groups=self.groups) if self.lrn and i < 3 else x

        def maps(self, x):
            x = self._pool(conv(x, 1, 11, strides=4, padding=(tuple(self.conv1_padding),) * 2))
            x = self._pool(conv(x, 2, 5, padding=2, feature_group_count=self.groups))
            x = conv(x, 3, 3, padding=1)
            x = conv(x, 4, 3, padding=1, feature_group_count=self.groups)
            return self._pool(conv(x, 5, 3, padding=1, feature_group_count=self.groups))

        x = recomputed(self.remat, maps)(self, x)
        return fully_connected(self, x, self._window, train=train, activation=activation, init=init)

    def _pool(self, x):
        return max_pool(x, 3 if self.overlap else 2, 2)

    @property
    def _window(self) -> int:
        """The side of the last map."""
        side = (self.image_size + sum(self.conv1_padding) - 11) // 4 + 1
        for _ in range(3):
            side = (side - (3 if self.overlap else 2)) // 2 + 1
        return side


class AlexNetCifar(nn.Module):
    """The four-layer network for CIFAR-10 of sections 3.1 and 3.3: [B, 32, 32, C] -> [B, outputs].

    The paper refers to cuda-convnet for it. This is that code's 13% network, or its 11% network
    with lrn: two convolutions, each followed by overlapping pooling, two locally connected layers
    and a linear one. The output size of overlapping pools is rounded up ("ceil").
    activation: one of ACTIVATIONS.  width: a factor on all maps.
    """

    outputs: int
    activation: str = "relu"
    lrn: bool = False
    width: float = 1.0
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)
    image: ClassVar[tuple[int, ...]] = (32, 32, 3)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        activation = choose("activation", self.activation, ACTIVATIONS)

        def normalise(x):
            return local_response_norm(x, size=9, k=1.0, alpha=0.001 / 9) if self.lrn else x

        def layer(kind, maps, window, deviation, name):
            init = nn.initializers.normal(deviation)
            pad = window // 2
            return kind(
                scaled(maps, self.width),
                (window, window),
                padding=pad,
                kernel_init=init,
                dtype=self.dtype,
                name=name,
            )

        x = activation(layer(Conv, 64, 5, 0.0001, "conv1")(x))
        x = normalise(max_pool(x, 3, 2, "ceil"))
        x = activation(layer(Conv, 64, 5, 0.01, "conv2")(x))
        x = max_pool(normalise(x), 3, 2, "ceil")
        x = activation(layer(nn.ConvLocal, 64 if self.lrn else 32, 3, 0.04, "local3")(x))
        x = activation(layer(nn.ConvLocal, 32, 3, 0.04, "local4")(x))
        dense = nn.Dense(
            self.outputs, kernel_init=nn.initializers.normal(0.01), dtype=self.dtype, name="fc10"
        )
        return dense(x.reshape(x.shape[0], -1)).astype(jnp.float32)
