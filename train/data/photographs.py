"""TFDS sets of JPEG photographs of many sizes, streamed.

They are cut on the host in uint8; the rest is done on the device.
"""

import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from train.data import augment, crops, images, prepared
from train.data.files import DataError, Origin
from train.data.source import Dataset, Source, Stream
from train.data.views import see

# statistics of RGB in [0, 1] over ImageNet; torchvision's
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALES = {  # name -> (subtrahend, divisor) for colours in [0, 255]
    "unit": (np.zeros(3), np.full(3, 255.0)),
    "signed": (np.full(3, 127.5), np.full(3, 127.5)),  # from -1 to 1
    "standard": (255 * np.array(MEAN), 255 * np.array(DEVIATION)),
    "mean_colour": (255 * np.array(MEAN), np.ones(3)),  # Simonyan & Zisserman 2014, section 2.1
}


@dataclasses.dataclass(frozen=True)
class Photographs:
    """Reads and cuts the photographs of one split; source.Stream's `read`.

    jitter, central, area, aspect: as in image_stream. eval_side: the side of the central square in
      evaluation.
    """

    records: prepared.Records
    classes: int
    side: int
    jitter: tuple
    central: bool
    area: tuple
    aspect: tuple
    eval_side: int
    decoder: str
    seed: int

    def __call__(self, index: np.ndarray, positions: np.ndarray | None) -> dict[str, np.ndarray]:
        """{"image": uint8 [n, side, side, 3], "label": int32 [n]}.

        In training the crop depends on (seed, position).
        """
        crops.set_up(self.decoder)
        examples = self.records(index)
        side = self.eval_side if positions is None else self.side
        image, label = (
            np.empty([len(index), side, side, 3], np.uint8),
            np.empty([len(index)], np.int32),
        )
        for n, example in enumerate(examples):
            label[n] = example["label"]
            if not 0 <= label[n] < self.classes:
                raise self._refused(
                    index[n], example, f"has label {label[n]}, must be from 0 to {self.classes - 1}"
                )
            box = (
                crops.central_square
                if positions is None
                else functools.partial(self._drawn, int(positions[n]))
            )
            try:
                crops.cut(example["image"], box, image[n], self.decoder)
            except ValueError as error:
                raise self._refused(index[n], example, f"cannot be decoded ({error})") from None
        return dict(image=image, label=label)

    def _drawn(self, position: int, height: int, width: int) -> crops.Box:
        rng = np.random.default_rng([self.seed, position])
        if self.jitter:
            return crops.draw_jitter(
                rng, height, width, self.side, *self.jitter, central=self.central
            )
        return crops.draw_rectangle(rng, height, width, self.area, self.aspect)

    def _refused(self, index: int, example: dict, what: str) -> DataError:
        name = example.get("file_name", b"").decode(errors="replace")
        of = self.records
        remedy = f"python -m scripts.prepare_data {of.name} --check looks for more"
        return DataError(
            f"{of.folder}: record {index} of {of.split}{f' ({name})' if name else ''} {what}; "
            f"{remedy}"
        )


def image_stream(
    set: str,
    test: str,
    *,
    crop: int = 224,
    jitter: tuple = (256, 256),
    central: bool = False,
    area: tuple = (),
    aspect: tuple = (3 / 4, 4 / 3),
    flip: bool = False,
    pca: float = 0.0,
    scale: str = "standard",
    eval_side: int = 256,
    views: str = "centre",
    eval_scales: tuple = (),
    decoder: str = "auto",
    workers: int = 0,
    seed: int = 0,
) -> Dataset:
    """Any TFDS set of photographs of many sizes with features image and label, streamed.

    `python -m scripts.prepare_data NAME` must have prepared it.

    set: its name, with its config if it has one.
    test: the split for testing; "" for the split named test, or else validation, or else the last
      tenth of train.
    In training the host cuts a square of side `crop` from each photograph, and the device changes
    it:
      jitter: (lowest, highest) length in pixels of the shorter side before the cut.
      central: cut from the central square, as in Krizhevsky et al. 2012; otherwise from anywhere.
      area: instead, with jitter=(), (lowest, highest) share of the image's area; a rectangle with
        this share and a ratio of width to height in `aspect` becomes the square, as in Szegedy et
        al. 2014.
      flip: mirrored with probability 1/2.
      pca: standard deviation of AlexNet's colour noise; the paper's is 0.1.
    In evaluation the host cuts the central square and resizes it to the side `eval_side`. From it
    the device takes:
      eval_scales: lengths to which its side is rescaled; () leaves it as it is.
      views: one of train.data.views.VIEWS at each scale.
    scale: one of SCALES. The per-pixel mean of AlexNet's and ResNet's papers is not available:
      "mean_colour" has one mean per colour.
    decoder: one of crops.DECODERS.
    workers: processes that decode; 0 uses threads of this process, enough for a few thousand
      photographs per second.
    seed: of the order and the cuts, the same for all seeds of a run; mirrors and colours differ
      from seed to seed.

    Raises ValueError, one line.
    """
    if bool(jitter) == bool(area):
        raise ValueError(
            "jitter: either jitter or area chooses how training cuts; the other must be ()"
        )
    if central and area:
        raise ValueError("central: does nothing with area; use jitter, or central=false")
    least_of = dict(crop=1, eval_side=1, pca=0, workers=0, seed=0)
    for (key, least), value in zip(
        least_of.items(), (crop, eval_side, pca, workers, seed), strict=True
    ):
        if value < least:
            raise ValueError(f"{key}: {value} must be at least {least}")
    images.check(
        eval_side, scale=scale, scales=SCALES, crop=crop, jitter=jitter, area=area, aspect=aspect, views=views,
        eval_scales=eval_scales,
    )  # fmt: skip
    how = crops.decoder(decoder)
    crops.set_up(how)
    folder = prepared.directory(set)
    (train, test), counts, names, digest = _contents(set, folder, test)
    subtracted, divisor = (x.astype(np.float32) for x in SCALES[scale])

    def augmented(image, key):
        keys = functools.partial(jax.random.fold_in, key)
        image = (image.astype(jnp.float32) - subtracted) / divisor
        image = augment.flip(image, keys(0)) if flip else image
        return (
            augment.pca_noise(image, keys(4), deviation=pca, unit=255 / divisor) if pca else image
        )

    def seen(image, key):
        return see(
            (image.astype(jnp.float32) - subtracted) / divisor, views, crop, tuple(eval_scales)
        )

    def split(which: str, side: int, prepare) -> Source:
        def make(arrays, index, keys):
            return dict(input=jax.vmap(prepare)(arrays["image"], keys), target=arrays["label"])

        cuts = (crop, tuple(jitter), central, tuple(area), tuple(aspect), eval_side, how, seed)
        blank = dict(image=np.zeros([1, side, side, 3], np.uint8), label=np.zeros([1], np.int32))
        read = Photographs(prepared.Records(set, folder, which, raw="image"), len(names), *cuts)
        return Source(counts[which], blank, make, stream=Stream(read, seed, workers))

    note = f"TFDS {folder.name} in {folder.parent}, streamed, decoded by {how}"
    return Dataset(
        inputs="image",
        targets="class",
        outputs=len(names),
        train=split(train, crop, augmented),
        # a part of train is not a split of that name
        evals={"test" if "[" in test else test: split(test, eval_side, seen)},
        about=f"{set}, tfds ({note})",
        metadata=Origin("tfds", str(folder), note, counts, digest).metadata,
        classes=names,
    )


def _contents(
    name: str, folder: pathlib.Path, test: str
) -> tuple[tuple[str, str], dict[str, int], tuple[str, ...], str]:
    """The splits for training and testing, their numbers of examples, the class names, a digest.

    Raises BadInput for a folder that is incomplete or of another kind.
    """
    found = prepared.opened(name, folder)
    both = prepared.splits(name, found.info, test)
    _, label = prepared.features(name, found.info, image="Image", label="ClassLabel")
    try:
        counts, digest = prepared.contents(found, both)
    except Exception as error:
        raise prepared.damaged(name, folder, error) from None
    return both, counts, tuple(label.names), digest


tfds_photographs = functools.partial(image_stream, set="tf_flowers", test="")
imagenet2012 = functools.partial(image_stream, "imagenet2012", "validation")
imagenet2012.__doc__ = (
    "ImageNet, Russakovsky et al. 2015: 1,281,167/50,000 photographs of 1,000 classes."
)
