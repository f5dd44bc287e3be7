"""Image sets small enough to be kept on the device, in uint8; scaled, augmented and cut there."""

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp
import numpy as np

from train.data import augment, files, prepared
from train.data.source import Dataset, Source, hold_out
from train.data.views import SQUARES, VIEWS, see

SCALES = {  # name -> new values of 0 and 255, if they do not depend on the data
    "unit": (0.0, 1.0),
    "lecun": (-0.1, 1.175),  # background and ink, LeCun et al. 1998, section III-A
    "standard": None,  # mean 0 and standard deviation 1 per channel over the training pixels
    # 0 to 255 minus the mean training image, Krizhevsky et al. 2012, section 2; He et al. 2015
    "mean_image": None,
}


def image_set(
    set: str,
    test: str,
    *,
    source: str = "auto",
    pad: int = 0,
    scale: str = "standard",
    flip: bool = False,
    distort: tuple = (),
    shift: int = 0,
    crop: int = 0,
    jitter: tuple = (),
    area: tuple = (),
    aspect: tuple = (3 / 4, 4 / 3),
    pca: float = 0.0,
    views: str = "whole",
    eval_scales: tuple = (),
    validation: int = 0,
) -> Dataset:
    """Any TFDS set of images of one size with the features image and label.

    `python -m scripts.prepare_data NAME` must have prepared it.

    set: its name, with its config if it has one: mnist, emnist/letters.
    test: the split for testing; "" for the split named test, or else validation, or else the last
      tenth of train.
    source: one of train.data.files.SOURCES.
    scale: one of SCALES.
    pad: pixels of background added on each side (2 makes LeNet's 32 from 28). Background is black
      in grey images and the mean colour in others; with "mean_image" it is 0.
    validation: number of training images held out as a split of that name.

    In training, in this order, each left out if it is 0 or ():
      flip: mirrored with probability 1/2.
      distort: LeNet's distortions, the maxima of (translation in pixels, scaling, squeezing,
        shear); the paper gives no numbers, ours are (2, 0.1, 0.1, 0.2).
      shift: moved by up to this many pixels either way in each direction; 4 is the pad and crop of
        ResNet on CIFAR.
      crop: the side of a square cut at a random position.
      jitter: (lowest, highest) length in pixels of the shorter side before that cut; the image is
        rescaled isotropically.
      area: instead of jitter, (lowest, highest) share of the image's area; a rectangle with this
        share and a ratio of width to height in `aspect` becomes the square.
      pca: standard deviation of AlexNet's colour noise; the paper's is 0.1.
    In evaluation:
      eval_scales: lengths in pixels of the shorter side to which each image is rescaled; () leaves
        it as it is.
      views: what is seen at each scale, one of train.data.views.VIEWS, or several joined by +, such
        as "grid+dense"; the squares have side `crop`. The probabilities of several views are
        averaged (task "classify"), first over those of one kind and size.

    Raises ValueError, one line.
    """
    known = set in files.SETS and test == "test"
    data_set = files.SETS[set] if known else prepared.image_set(set, test)
    dtype, (height, width, *channels) = data_set.arrays["train_image"]
    if dtype != "uint8":
        raise ValueError(f"name: {set} has images of {dtype}; scales are of uint8, 0 to 255")
    check(
        min(height, width),
        pad=pad,
        scale=scale,
        shift=shift,
        crop=crop,
        jitter=jitter,
        area=area,
        aspect=aspect,
        distort=distort,
        views=views,
        eval_scales=eval_scales,
    )
    if pca < 0 or (pca and channels != [3]):
        raise ValueError(f"pca: {pca} must be at least 0, and 0 for grey images")
    arrays, origin = files.load(set, source) if known else files.load(set, source, data_set)
    image, label = arrays["train_image"], arrays["train_label"]
    train, held_out = hold_out(len(image), validation)
    offset, factor, background = scaling(scale, image[train].reshape(len(train), height, width, -1))

    def scaled(image):  # [H, W] or [H, W, C] uint8 -> [H + 2 pad, W + 2 pad, C] float32
        image = offset + factor * image.reshape(height, width, -1).astype(jnp.float32)
        return augment.pad(image, pad, background)

    def augmented(image, key):
        keys = functools.partial(jax.random.fold_in, key)
        image = scaled(image)
        side = crop or min(image.shape[:2])
        if flip:
            image = augment.flip(image, keys(0))
        if distort:
            image = augment.lenet_distortions(image, keys(2), *distort, fill=background)
        if shift:
            image = augment.pad_crop(image, keys(1), pixels=shift, fill=background)
        if jitter:
            image = augment.scale_jitter(image, keys(3), side=side, low=jitter[0], high=jitter[1])
        elif area:
            image = augment.random_resized_crop(image, keys(3), side=side, area=area, aspect=aspect)
        elif crop:
            image = augment.random_crop(image, keys(3), side=side)
        return augment.pca_noise(image, keys(4), deviation=pca, unit=255 * factor) if pca else image

    def seen(image, key):
        return see(scaled(image), views, crop, tuple(eval_scales))

    def split(image, label, prepare):
        def make(arrays, index, keys):
            return dict(
                input=jax.vmap(prepare)(arrays["image"][index], keys), target=arrays["label"][index]
            )

        return Source(len(image), dict(image=image, label=label.astype(np.int32)), make)

    evals = {"validation": split(image[held_out], label[held_out], seen)} if validation else {}
    return Dataset(
        inputs="image",
        targets="class",
        outputs=data_set.classes,
        train=split(image[train], label[train], augmented),
        evals=evals | {"test": split(arrays["test_image"], arrays["test_label"], seen)},
        about=f"{set}, {origin.source} ({origin.note})",
        metadata=origin.metadata,
        classes=data_set.names,
    )


tfds_images = functools.partial(image_set, set="mnist", test="")
fashion_mnist = functools.partial(image_set, "fashion_mnist", "test", pad=2)
fashion_mnist.__doc__ = (
    "Fashion-MNIST, Xiao et al. 2017: 60,000/10,000 of 28x28x1, 10 kinds of clothes."
)
cifar10 = functools.partial(image_set, "cifar10", "test")
cifar10.__doc__ = "CIFAR-10, Krizhevsky 2009: 50,000/10,000 photographs 32x32x3 of 10 classes."
cifar100 = functools.partial(image_set, "cifar100", "test")
cifar100.__doc__ = "CIFAR-100, Krizhevsky 2009: 50,000/10,000 photographs 32x32x3 of 100 classes."


def scaling(scale: str, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(offset [C] or [H, W, C], factor [C], background [C]), float32.

    A pixel becomes offset + factor * pixel.

    image: the training images, uint8 [N, H, W, C].
    """
    channels = image.shape[-1]
    if scale == "mean_image":
        zeros = np.zeros(channels, np.float32)
        return -image.mean(0).astype(np.float32), zeros + 1, zeros
    ends = [SCALES[scale] or standardised(image[..., c]) for c in range(channels)]
    offset, factor = np.array([(low, (high - low) / 255) for low, high in ends]).T
    background = offset + factor * (image.mean((0, 1, 2)) if channels > 1 else 0)
    return tuple(x.astype(np.float32) for x in (offset, factor, background))


def standardised(image: np.ndarray) -> tuple[float, float]:
    """What 0 and 255 become when the pixels of `image` (uint8) get mean 0 and standard deviation 1.

    If all pixels are equal they become 0, and a difference of 255 levels becomes 1.
    """
    counts = np.bincount(image.reshape(-1), minlength=256) / image.size
    levels = np.arange(256)
    mean = float(counts @ levels)
    deviation = float(np.sqrt(counts @ (levels - mean) ** 2)) or 255.0
    return -mean / deviation, (255 - mean) / deviation


def check(
    side,
    *,
    scale,
    crop,
    jitter,
    area,
    aspect,
    views,
    eval_scales,
    pad=0,
    shift=0,
    distort=(),
    scales: Collection = SCALES,
) -> None:
    """Raises ValueError for what cannot work on images with this shorter side.

    The message is one line that begins with the key.
    """
    kinds = views.split("+")
    for key, value, table in (
        ("scale", scale, scales),
        *(("views", kind, VIEWS) for kind in kinds),
    ):
        if value not in table:
            raise ValueError(f"{key}: unknown {value!r}; choose from {', '.join(table)}")

    def within(key, numbers, kind, low, high):
        for number in numbers:
            if not isinstance(number, kind):
                raise ValueError(f"{key}: {number!r} is not a {'whole ' * (kind is int)}number")
            if not low <= number <= high:
                raise ValueError(f"{key}: {number} is outside [{low}, {high}]")

    within("pad", [pad], int, 0, side)
    within("shift", [shift], int, 0, side)
    side += 2 * pad
    if distort and len(distort) != 4:
        raise ValueError(
            f"distort: {distort!r} must be four numbers: pixels of translation, scaling, "
            "squeezing, shear"
        )
    within("distort", distort[:1], int | float, 0, side)
    within("distort", distort[1:], int | float, 0, 0.9)
    if jitter and area:
        raise ValueError("area: area and jitter exclude each other; set one of them to ()")
    largest = 32 * side  # the most that an image may be rescaled to
    within("crop", [crop], int, 0, side if not (jitter or area) else largest)
    within("jitter", jitter, int, crop or side, largest)
    within("area", area, int | float, 0.001, 1)
    within("aspect", aspect, int | float, 0.01, 100)
    for key, numbers in dict(jitter=jitter or (1, 1), area=area or (1, 1), aspect=aspect).items():
        if len(numbers) != 2 or numbers[0] > numbers[1]:
            raise ValueError(f"{key}: {numbers!r} must be two numbers, the lowest and the highest")
    square = any(kind in SQUARES for kind in kinds)
    if square and not crop:
        raise ValueError(f"crop: views={views!r} needs the side of its squares, 1 to {side} pixels")
    within("eval_scales", eval_scales, int, crop if square else 1, largest)
    if square and not eval_scales:
        within("crop", [crop], int, 1, side)
