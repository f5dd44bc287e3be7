"""Images as sequences of pixels, in order or in a fixed random order.

Le, Jaitly & Hinton 2015, section 4.2.
"""

import jax.numpy as jnp
import numpy as np

from train.data import files
from train.data.source import Dataset, Source, hold_out


def sequential_fashion_mnist(
    *, source: str = "auto", permuted: bool = False, pixels_per_step: int = 1, validation: int = 0
) -> Dataset:
    """Fashion-MNIST in scan-line order: 784 steps of one pixel in [0, 1].

    pixels_per_step: a divisor of 784; each step has this many pixels.
    source: one of train.data.files.SOURCES.
    permuted: all images in one random order of pixels, from numpy's default_rng(0). The published
      figures are for MNIST and other permutations.
    validation: number of training images held out as a split of that name.
    Raises ValueError, one line.
    """
    if pixels_per_step < 1 or 784 % pixels_per_step:
        raise ValueError(f"pixels_per_step: {pixels_per_step} must divide 784")
    arrays, origin = files.load("fashion_mnist", source)
    order = np.random.default_rng(0).permutation(784) if permuted else np.arange(784)
    train, held_out = hold_out(len(arrays["train_image"]), validation)

    def make(arrays, index, keys):
        pixels = arrays["pixels"][index].astype(jnp.float32) / 255
        x = pixels.reshape(len(index), -1, pixels_per_step)
        return dict(input=x, target=arrays["label"][index], mask=jnp.ones(x.shape[:2], bool))

    def split(name, rows):
        pixels = arrays[f"{name}_image"][rows].reshape(-1, 784)[:, order]
        return Source(
            len(pixels),
            dict(pixels=pixels, label=arrays[f"{name}_label"][rows].astype(np.int32)),
            make,
        )

    evals = {"validation": split("train", held_out)} if validation else {}
    how = "permuted pixels" if permuted else "pixels in order"
    return Dataset(
        inputs="sequence",
        targets="class",
        outputs=10,
        train=split("train", train),
        evals=evals | {"test": split("test", slice(None))},
        about=f"fashion_mnist, {how}, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        classes=files.SETS["fashion_mnist"].names,
    )
