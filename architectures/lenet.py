"""LeNet-1, LeNet-4 and LeNet-5.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proc.
IEEE 1998.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from architectures.convolution import Conv, convolve
from architectures.layers import ACTIVATIONS, INITIALISERS, Subsample, batch_norm, choose
from architectures.pooling import avg_pool, max_pool

# LeCun et al. 1989
LENET1_C3 = ((0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1), (2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3))
# LeNet-4's connections are not published. These are chosen to bring its size near the paper's
# "about 260,000 connections and 17,000 free parameters": 259,306 and 17,998.
LENET4_C3 = (
    *(tuple((i + k) % 8 for k in range(4)) for i in range(12)),
    (0, 1, 2),
    (2, 3, 4),
    (4, 5, 6),
    (6, 7, 0),
)
LENET4_C5 = tuple(tuple((i + k) % 16 for k in range(5)) for i in range(120))
LENET5_C3 = (  # Table I: the S2 maps that each of the 16 C3 maps sees
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)
# Figure 3: each digit as a bitmap of 7 x 12 pixels. A row is two hex digits, its leftmost pixel in
# bit 6. This is a public transcription that was not compared with the printed figure.
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


def rbf_centres() -> np.ndarray:
    """[84, 10], +1 for ink and -1 for background."""
    # [10, 12]
    rows = np.array([[int(bitmap[i : i + 2], 16) for i in range(0, 24, 2)] for bitmap in BITMAPS])
    return (
        (2.0 * ((rows[..., None] >> np.arange(6, -1, -1)) & 1) - 1)
        .reshape(10, 84)
        .T.astype(np.float32)
    )


class SparseConv(nn.Module):
    """5 x 5 convolution without padding, where map i sees only the maps connections[i].

    x [B, H, W, I] -> [B, H - 4, W - 4, len(connections)].
    The kernel holds only the connections, [5, 5, their number]. Each map's weights are drawn with
    the fan-in of its own units.
    """

    connections: tuple[tuple[int, ...], ...]
    initialiser: nn.initializers.Initializer
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x):
        def initial(key, shape):
            keys = jax.random.split(key, len(self.connections))
            each = zip(keys, self.connections, strict=True)
            return jnp.concatenate(
                [self.initialiser(k, (5, 5, len(seen), 1))[..., 0] for k, seen in each], axis=-1
            )

        inputs, maps = np.concatenate(self.connections), len(self.connections)
        outputs = np.repeat(np.arange(maps), [len(seen) for seen in self.connections])
        kernel = self.param("kernel", initial, (5, 5, len(inputs)))
        bias = self.param("bias", nn.initializers.zeros, (maps,))
        whole = (
            jnp.zeros([5, 5, x.shape[-1], maps], self.dtype)
            .at[:, :, inputs, outputs]
            .set(kernel.astype(self.dtype))
        )
        return convolve(x.astype(self.dtype), whole, (1, 1), "VALID") + bias.astype(self.dtype)


class LeNet(nn.Module):
    """LeNet-1, -4 and -5, figure 2 and section III-C: images [B, H, W, 1] -> [B, outputs].

    number: 1 (28 x 28 images, 2,578 parameters), 4 (32 x 32; a reconstruction, see LENET4_C3) or
      5 (32 x 32; 60,000 parameters).
    c3: "sparse", the paper's connections (for LeNet-4 also C5's), or "dense".
    subsampling: one of SUBSAMPLING ("trainable" is the paper's).
    activation: one of ACTIVATIONS, after every layer but the last.
    output: "dense", logits; or "rbf" (LeNet-5), the negative penalties
      -y_i = -sum_j (x_j - w_ij)^2 (eq. 7). The largest is the prediction, and the loss is that of
      the task "classify_rbf".
    initialiser: one of INITIALISERS; "lecun_1998" is the paper's. Biases start at 0.
    batch_norm: "none" as in the paper, or another of BATCH_NORMS, before the activations of C1, C3,
      C5 and F6.

    Raises ValueError, one line, for an unknown choice, an image of another size, or outputs other
    than 10 with "rbf".
    """

    outputs: int
    number: int = 5
    c3: str = "sparse"
    subsampling: str = "trainable"
    activation: str = "scaled_tanh"
    output: str = "rbf"
    initialiser: str = "lecun_1998"
    batch_norm: str = "none"
    dtype: jnp.dtype = jnp.float32
    axis_name: str | None = None
    takes: ClassVar[tuple[str, ...]] = ("image",)

    @property
    def image(self) -> tuple[int, ...]:
        return (28, 28, 1) if self.number == 1 else (32, 32, 1)

    @nn.compact
    def __call__(self, x, mask, *, train: bool):
        activation = choose("activation", self.activation, ACTIVATIONS)
        norm = batch_norm(self.batch_norm, axis_name=self.axis_name)
        init = choose("initialiser", self.initialiser, INITIALISERS)
        for what, have in dict(
            c3=("dense", "sparse"), output=("dense", "rbf"), subsampling=SUBSAMPLING
        ).items():
            choose(what, getattr(self, what), have)
        if self.number not in (1, 4, 5):
            raise ValueError(f"number: unknown {self.number}; choose from 1, 4, 5")
        if x.shape[1:] != self.image:
            side = self.image[0]
            found = " x ".join(map(str, x.shape[1:]))
            raise ValueError(
                f"LeNet-{self.number} takes images of {side} x {side} x 1, not {found}; LeNet-5 "
                "pads 28 x 28 by 2"
            )
        if self.output == "rbf" and (self.outputs != 10 or self.number != 5):
            raise ValueError(
                "output: 'rbf' has the ten digits' bitmaps as centres, for LeNet-5's 84 units, "
                f"not {self.outputs} outputs of LeNet-{self.number}; use 'dense'"
            )

        def dense(features, name):
            return nn.Dense(features, kernel_init=init, dtype=self.dtype, name=name)

        def conv(features, name):
            return Conv(
                features, (5, 5), padding="VALID", kernel_init=init, dtype=self.dtype, name=name
            )

        def sparse(connections, name):
            if self.c3 == "dense":
                return conv(len(connections), name)
            return SparseConv(connections, init, self.dtype, name=name)

        def squash(x, name):
            return activation(norm(name=f"{name}_bn")(x, train=train) if norm else x)

        x = squash(conv(6 if self.number == 5 else 4, "C1")(x), "C1")
        if self.number == 4:
            x = jnp.repeat(x, 2, axis=-1)  # two subsampling maps to each map of C1
        x = self._subsample(x, "S2", activation)
        x = squash(sparse({1: LENET1_C3, 4: LENET4_C3, 5: LENET5_C3}[self.number], "C3")(x), "C3")
        x = self._subsample(x, "S4", activation)
        if self.number == 4:
            x = squash(sparse(LENET4_C5, "C5")(x), "C5")
        x = x.reshape(x.shape[0], -1)
        if self.number == 5:
            x = squash(dense(120, "C5")(x), "C5")  # a 5 x 5 convolution of a 5 x 5 map
            x = squash(dense(84, "F6")(x), "F6")
        if self.output == "dense":
            return dense(self.outputs, "OUTPUT")(x).astype(jnp.float32)
        distance = x.astype(jnp.float32)[:, :, None] - rbf_centres()  # [B, 84, 10]
        return -jnp.square(distance).sum(axis=1)

    def _subsample(self, x, name, activation):
        if self.subsampling == "trainable":
            return activation(Subsample(dtype=self.dtype, name=name)(x))
        return max_pool(x, 2, 2) if self.subsampling == "max" else avg_pool(x, 2, 2)
