"""Image sets small enough to lie on the device, in uint8; scaled and augmented there."""

import jax
import jax.numpy as jnp
import numpy as np

from train.data import files
from train.data.source import Dataset, Source, hold_out

SCALES = {  # name -> (background, ink) for a grey image: what 0 and 255 become
    "unit": (0.0, 1.0),
    "lecun": (-0.1, 1.175),  # LeCun et al. 1998, section III-A
    "standard": None,  # mean 0, standard deviation 1 over the training pixels
}


def fashion_mnist(
    *,
    source: str = "auto",
    pad: int = 2,
    scale: str = "standard",
    shift: int = 0,
    flip: bool = False,
    validation: int = 0,
) -> Dataset:
    """Fashion-MNIST, Xiao et al. 2017: 60,000/10,000 (or the embedded 6,000/1,000) images 28x28x1 of 10 kinds of clothes.

    source: one of train.data.files.SOURCES.  pad: background pixels added on each side (2 makes LeNet's 32x32).
    scale: one of SCALES.  shift: training images move by up to this many pixels either way in each direction.
    flip: training images are mirrored with probability 1/2.  validation: training images held out as a split of that name.
    Raises ValueError, one line.
    """
    if scale not in SCALES:
        raise ValueError(f"scale: unknown {scale!r}; have {', '.join(SCALES)}")
    for name, pixels in dict(pad=pad, shift=shift).items():
        if not 0 <= pixels <= 28:
            raise ValueError(f"{name}: {pixels} is outside [0, 28]")
    arrays, origin = files.load("fashion_mnist", source)
    image, label = arrays["train_image"], arrays["train_label"]
    train, held_out = hold_out(len(image), validation)
    background, ink = SCALES[scale] or standardised(image[train])

    def make(augmented: bool):
        def prepare(image, key):  # [H, W] uint8 -> [H + 2 pad, W + 2 pad, 1] float32
            if augmented and flip:
                image = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 0)), image[:, ::-1], image)
            margin = pad + shift * augmented
            image = jnp.pad(image, margin)
            if augmented and shift:
                corner = jax.random.randint(jax.random.fold_in(key, 1), [2], 0, 2 * shift + 1)
                size = [side - 2 * shift for side in image.shape]
                image = jax.lax.dynamic_slice(image, corner, size)
            return (background + (ink - background) / 255 * image.astype(jnp.float32))[..., None]

        def examples(arrays, index, keys):
            return dict(input=jax.vmap(prepare)(arrays["image"][index], keys), target=arrays["label"][index])

        return examples

    def split(image, label, augmented=False):
        return Source(len(image), dict(image=image, label=label.astype(np.int32)), make(augmented))

    evals = {"validation": split(image[held_out], label[held_out])} if validation else {}
    return Dataset(
        inputs="image",
        targets="class",
        outputs=10,
        train=split(image[train], label[train], augmented=True),
        evals=evals | {"test": split(arrays["test_image"], arrays["test_label"])},
        about=f"fashion_mnist, {origin.source} ({origin.note})",
        metadata=origin.metadata,
    )


def standardised(image: np.ndarray) -> tuple[float, float]:
    """What 0 and 255 become when the pixels of `image` (uint8) get mean 0 and standard deviation 1."""
    counts = np.bincount(image.reshape(-1), minlength=256) / image.size
    levels = np.arange(256)
    mean = float(counts @ levels)
    deviation = float(np.sqrt(counts @ (levels - mean) ** 2))
    return -mean / deviation, (255 - mean) / deviation
