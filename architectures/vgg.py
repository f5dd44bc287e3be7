"""VGG.

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR
2015.
"""

from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from architectures.alexnet import fully_connected
from architectures.convolution import Conv
from architectures.layers import (
    INITIALISERS,
    batch_norm,
    check_numbers,
    choose,
    local_response_norm,
    recomputed,
    scaled,
)
from architectures.pooling import max_pool

CONFIGURATIONS = {  # Table 1: the windows of each block's convolutions
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3),) * 5,
    "B-shallow": ((5,),) * 5,  # section 4.1: one 5 x 5 for each pair of 3 x 3 in B
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
MAPS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """VGG, Table 1: images [B, H, W, 3] -> [B, outputs].

    Configuration D, with 16 layers, has 138,357,544 parameters at 1000 outputs.

    configuration: one of CONFIGURATIONS.
    dropout: after fc6 and fc7.
    batch_norm: "none" as in the paper, or another of BATCH_NORMS.
    bn_momentum, bn_epsilon: see BatchNorm.
    initialiser: one of INITIALISERS. The paper's is "normal_1" for A, and A's trained layers for
      the deeper ones, or, in its later remark, "glorot". Biases start at 0.
    width: a factor on all maps and hidden units.
    image_size: the side of the training images, a multiple of 32. A larger image is evaluated
      densely: fc6 to fc8 are convolutions, and the class scores are averaged over space (section
      3.2).
    other_sizes: what else can happen to other images, see alexnet.fully_connected.
    remat: recompute the values inside a block in the backward pass instead of keeping them.

    Raises ValueError, one line, for an unknown choice or an image that is too small.
    """

    outputs: int
    configuration: str = "D"
    batch_norm: str = "none"
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    hidden: int = 4096
    dropout: float = 0.5
    initialiser: str = "glorot"
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
        blocks = choose("configuration", self.configuration, CONFIGURATIONS)
        init = choose("initialiser", self.initialiser, INITIALISERS)
        norm = batch_norm(
            self.batch_norm,
            axis_name=self.axis_name,
            momentum=self.bn_momentum,
            epsilon=self.bn_epsilon,
        )
        check_numbers(self)
        if self.image_size < 32:
            raise ValueError(
                f"image_size: {self.image_size} must be at least 32, because five pools halve it"
            )

        def block(self, x, i, windows, maps):
            for j, window in enumerate(windows, 1):
                options = dict(
                    padding=window // 2, kernel_init=init, dtype=self.dtype, name=f"conv{i}_{j}"
                )
                x = Conv(scaled(maps, self.width), (window, window), **options)(x)
                if norm:
                    x = norm(name=f"bn{i}_{j}")(x, train=train)
                x = nn.relu(x)
                if self.configuration == "A-LRN" and i == 1:
                    x = local_response_norm(x)
            if min(x.shape[1:3]) < 2:
                raise ValueError(
                    "image_size: the image is too small for VGG's five pools; use at least 32 x 32 "
                    "pixels"
                )
            return max_pool(x, 2, 2)

        for i, (windows, maps) in enumerate(zip(blocks, MAPS, strict=True), 1):
            x = recomputed(
                self.remat, lambda self, x, i=i, w=windows, m=maps: block(self, x, i, w, m)
            )(self, x)
        starts = (init, nn.initializers.zeros)
        return fully_connected(
            self,
            x,
            self.image_size // 32,
            train=train,
            activation=nn.relu,
            init=lambda name: starts,
        )
