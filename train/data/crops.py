"""Cuts squares from JPEG photographs on the host, in uint8.

augment.py does the same on the device for images of one size.

A rectangle of whole pixels is drawn first, and only this rectangle is rescaled. OpenCV does the
work if it is installed (extra `images`), otherwise Pillow. Both decode to the same pixels and
refuse the same files, but rescale differently, by about one grey level.
"""

import functools
import importlib.util
import io
import re

import numpy as np

from train.data.augment import TRIES
from train.errors import reason

DECODERS = ("auto", "cv2", "pillow")
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")  # Pillow's: at most 8 bits per channel
ORIENTATION = 0x0112  # EXIF's tag
# matches the data after the header of a complete JPEG: only restart markers, then the end.
# OpenCV silently fills the missing parts of an incomplete one with grey
ONE_SCAN = re.compile(rb"[^\xff]*(?:\xff[\x00\xd0-\xd7][^\xff]*)*\xff\xd9")
Box = tuple[int, int, int, int]  # top, left, height, width


def decoder(name: str) -> str:
    """The decoder to use. Raises ValueError, one line, if it is unknown or not installed."""
    if name not in DECODERS:
        raise ValueError(f"decoder: unknown {name!r}; choose from {', '.join(DECODERS)}")
    there = importlib.util.find_spec("cv2") is not None
    if name == "cv2" and not there:
        raise ValueError(
            "decoder: 'cv2' is not installed; pip install -e '.[images]', or use pillow"
        )
    return ("cv2" if there else "pillow") if name == "auto" else name


@functools.cache
def set_up(how: str) -> None:
    """Sets up the decoder, once per process.

    Call it before there are threads, which would import the decoders concurrently. OpenCV then
    uses no threads besides the reader's, and does not report damaged files; we report them.
    """
    import PIL.Image  # noqa: F401

    if how == "cv2":
        import cv2

        cv2.setNumThreads(0)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def draw_rectangle(rng: np.random.Generator, height: int, width: int, area, aspect) -> Box:
    """As augment.draw_rectangle: the share of the area is uniform in `area`, and so on.

    After ten tries the square in the middle is taken.
    """
    share, ratio, swap = (
        rng.uniform(*area, TRIES),
        rng.uniform(*aspect, TRIES),
        rng.random(TRIES) < 0.5,
    )
    ratio = np.where(swap, 1 / ratio, ratio)
    pixels = height * width * share
    for h, w in zip(
        np.rint(np.sqrt(pixels / ratio)), np.rint(np.sqrt(pixels * ratio)), strict=True
    ):
        if 1 <= h <= height and 1 <= w <= width:
            top, left = rng.integers([height - int(h) + 1, width - int(w) + 1])
            return int(top), int(left), int(h), int(w)
    return central_square(height, width)


def draw_jitter(
    rng: np.random.Generator, height: int, width: int, side: int, low: int, high: int, central: bool
) -> Box:
    """The box of the image that becomes a square of `side`, at a random position.

    The image's shorter side is treated as rescaled to a length uniform from low to high.
    central: take it from the central square, Krizhevsky et al. 2012, section 2. Otherwise from
    anywhere: Simonyan & Zisserman 2014, section 3.1; He et al. 2015, section 3.4.
    """
    shorter = min(height, width)
    size = max(1, round(shorter * side / int(rng.integers(low, high + 1))))
    top, left, height, width = central_square(height, width) if central else (0, 0, height, width)
    down, right = rng.integers([height - size + 1, width - size + 1])
    return top + int(down), left + int(right), size, size


def central_square(height: int, width: int) -> Box:
    """The largest square in the middle."""
    size = min(height, width)
    return (height - size) // 2, (width - size) // 2, size, size


def decode(encoded: bytes, how: str) -> np.ndarray:
    """The image in RGB, uint8 [H, W, 3], rotated as its EXIF orientation says.

    A 16-bit channel is reduced to its upper 8 bits, an animation to its first image; transparency
    is dropped.

    how: "cv2" or "pillow". Pillow reads every header, and decodes everything but ordinary JPEGs:
    complete, of one scan, in grey or three colours. For these both give the same pixels, because
    both use libjpeg-turbo. Raises ValueError, one line, for a file that is damaged, ends too soon,
    or has another format or depth. An image of more than 178,956,970 pixels, which Pillow regards
    as an attack, is refused before it is decoded.
    """
    import PIL.Image

    file = io.BytesIO(encoded)
    try:
        with PIL.Image.open(file, formats=FORMATS) as image:
            plain = image.format == "JPEG" and image.mode in ("L", "RGB")
            plain = how == "cv2" and plain and ONE_SCAN.fullmatch(encoded, file.tell())
            pixels = _with_opencv(encoded) if plain else None
            pixels = _with_pillow(image) if pixels is None else pixels
            return _upright(pixels, image.getexif().get(ORIENTATION, 1))
    except PIL.UnidentifiedImageError:
        raise ValueError(f"it is not a valid {', '.join(FORMATS)}") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise anything
        raise ValueError(reason(error)) from None


def _with_opencv(jpeg: bytes) -> np.ndarray | None:
    import cv2

    how = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), how)


def _with_pillow(image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    if image.mode not in MODES:
        raise ValueError(
            f"its pixels are of Pillow's mode {image.mode}, not 8 or 16 bits per channel"
        )
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates by the EXIF orientation, 1 to 8; any other value counts as 1."""
    if orientation not in range(2, 9):
        return image
    if orientation > 4:
        image = image.swapaxes(0, 1)
    down, right = ((1, 1), (1, -1), (-1, -1), (-1, 1))[(orientation - 1) % 4]
    return np.ascontiguousarray(image[::down, ::right])


def cut(encoded: bytes, box, into: np.ndarray, how: str) -> None:
    """Resizes box(height, width) of the image into `into`, uint8 [side, side, 3].

    It is antialiased if this makes it smaller. how: "cv2" or "pillow". Raises ValueError as
    `decode` does.
    """
    side, image = len(into), decode(encoded, how)
    top, left, height, width = box(*image.shape[:2])
    if how == "pillow":
        import PIL.Image

        where = (left, top, left + width, top + height)
        # 2: bilinear, at least as wide as a source pixel
        into[:] = PIL.Image.fromarray(image).resize((side, side), resample=2, box=where)
        return
    import cv2

    part = image[top : top + height, left : left + width]
    how = cv2.INTER_AREA if min(height, width) > side else cv2.INTER_LINEAR
    cv2.resize(part, (side, side), dst=into, interpolation=how)
