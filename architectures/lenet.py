"""LeNet-5. LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 1998."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from architectures.layers import ACTIVATIONS, Conv, Subsample, choose, convolve, pool_2x2, uniform_fan_in

C3_INPUTS = (  # Table I: the S2 maps that each of the 16 C3 maps sees
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
# Figure 3: each digit as a bitmap of 7 x 12 pixels, a row in two hex digits, its leftmost pixel in bit 6. A public
# transcription, not compared with the printed figure.
BITMAPS = (
    "3e001c3663636363361c0000",
    "0c1c3c0c0c0c0c0c0c3f0000",
    "3e003e6343061c30607f0000",
    "7f03060c1e030303633e0000",
    "3e00003333736363673f0303",
    "3e007f60603c1e03633e0000",
    "1e3060607e736363733e0000",
    "7f0303060c0c181818180000",
    "3e6363633e636363633e0000",
    "3e676363673f0303063c0000",
)
SUBSAMPLING = ("average", "max", "trainable")
INITIALISERS = dict(lecun_1998=uniform_fan_in, lecun=nn.initializers.lecun_normal())


def rbf_centres() -> np.ndarray:
    """[84, 10], +1 for ink and -1 for background."""
    rows = np.array([[int(bitmap[i : i + 2], 16) for i in range(0, 24, 2)] for bitmap in BITMAPS])  # [10, 12]
    return (2.0 * ((rows[..., None] >> np.arange(6, -1, -1)) & 1) - 1).reshape(10, 84).T.astype(np.float32)


class SparseC3(nn.Module):
    """C3: 5 x 5 convolution in which each map sees only its inputs in Table I. x [B, H, W, 6] -> [B, H-4, W-4, 16].

    The kernel holds the 60 connections alone, [5, 5, 60]: 1,500 weights. Each map draws its weights by the fan-in of its own
    unit (75, 100 or 150).
    """

    initialiser: nn.initializers.Initializer
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        def initial(key, shape):
            keys = jax.random.split(key, len(C3_INPUTS))
            maps = [self.initialiser(k, (5, 5, len(seen), 1))[..., 0] for k, seen in zip(keys, C3_INPUTS, strict=True)]
            return jnp.concatenate(maps, axis=-1)  # [5, 5, 60]

        inputs = np.concatenate(C3_INPUTS)
        outputs = np.repeat(np.arange(16), [len(seen) for seen in C3_INPUTS])
        kernel = self.param("kernel", initial, (5, 5, len(inputs)))
        bias = self.param("bias", nn.initializers.zeros, (16,))
        whole = jnp.zeros([5, 5, 6, 16], self.dtype).at[:, :, inputs, outputs].set(kernel.astype(self.dtype))
        return convolve(x.astype(self.dtype), whole, (1, 1), "VALID") + bias.astype(self.dtype)


class LeNet5(nn.Module):
    """LeNet-5, figure 2: images [B, 32, 32, 1] -> [B, outputs]. As printed it has 60,000 parameters.

    c3: "sparse", Table I's connections, or "dense".  subsampling: one of SUBSAMPLING ("trainable" is the paper's).
    activation: one of ACTIVATIONS, after C1 to F6.  output: "rbf", the negative penalties -y_i = -sum_j (x_j - w_ij)^2
    (eq. 7; the largest is the answer, and the losses are task "classify_rbf"), or "dense", logits.
    initialiser: "lecun_1998", U(-2.4/F, 2.4/F) by the fan-in F of the unit, or "lecun", normal of variance 1/F; biases
    start at 0.
    Raises ValueError, one line, for an unknown choice, an image of another size, and outputs other than 10 with "rbf".
    """

    outputs: int
    c3: str = "sparse"
    subsampling: str = "trainable"
    activation: str = "scaled_tanh"
    output: str = "rbf"
    initialiser: str = "lecun_1998"
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None  # nothing here looks across the batch
    takes: ClassVar[str] = "image"

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        squash, init = (
            choose("activation", self.activation, ACTIVATIONS),
            choose("initialiser", self.initialiser, INITIALISERS),
        )
        for what, table in dict(c3=("dense", "sparse"), output=("dense", "rbf"), subsampling=SUBSAMPLING).items():
            choose(what, getattr(self, what), dict.fromkeys(table))
        if x.shape[1:] != (32, 32, 1):
            raise ValueError(f"LeNet-5 takes images of 32 x 32 x 1, not {' x '.join(map(str, x.shape[1:]))}; pad 28 x 28 by 2")
        if self.output == "rbf" and self.outputs != 10:
            raise ValueError(f"output='rbf' has the ten digits' bitmaps as centres, not {self.outputs}; have output='dense'")

        def dense(features, name):
            return nn.Dense(features, kernel_init=init, dtype=self.dtype, name=name)

        def conv(features, name):
            return Conv(features, (5, 5), padding="VALID", kernel_init=init, dtype=self.dtype, name=name)

        x = squash(conv(6, "C1")(x))  # [B, 28, 28, 6]
        x = self._subsample(x, "S2", squash)  # [B, 14, 14, 6]
        c3 = SparseC3(initialiser=init, dtype=self.dtype, name="C3") if self.c3 == "sparse" else conv(16, "C3")
        x = squash(c3(x))  # [B, 10, 10, 16]
        x = self._subsample(x, "S4", squash)  # [B, 5, 5, 16]
        x = squash(dense(120, "C5")(x.reshape(x.shape[0], -1)))  # a 5 x 5 convolution of a 5 x 5 map
        x = squash(dense(84, "F6")(x))
        if self.output == "dense":
            return dense(self.outputs, "OUTPUT")(x).astype(jnp.float32)
        distance = x.astype(jnp.float32)[:, :, None] - rbf_centres()  # [B, 84, 10]
        return -jnp.square(distance).sum(axis=1)

    def _subsample(self, x, name, squash):
        if self.subsampling == "trainable":
            return squash(Subsample(dtype=self.dtype, name=name)(x))
        return pool_2x2(x, jnp.maximum) if self.subsampling == "max" else pool_2x2(x, jnp.add) / 4
