"""Squares cut from JPEG photographs on the host, in uint8: what augment.py does on the device where
images have one size.

A rectangle of whole pixels is drawn first; only it is rescaled. OpenCV where it is installed (extra
`images`), else Pillow: both decode to the same pixels, but rescale differently, by about a grey
level.
"""

import functools
import importlib.util
import io

import numpy as np

from train.data.augment import TRIES

DECODERS = ("auto", "cv2", "pillow")
Box = tuple[int, int, int, int]  # top, left, height, width


def decoder(name: str) -> str:
    """The decoder to use. Raises ValueError, one line, where it is unknown or not installed."""
    if name not in DECODERS:
        raise ValueError(f"decoder: unknown {name!r}; have {', '.join(DECODERS)}")
    there = importlib.util.find_spec("cv2") is not None
    if name == "cv2" and not there:
        raise ValueError(
            "decoder: 'cv2' is not installed; pip install -e '.[images]', or have pillow"
        )
    return ("cv2" if there else "pillow") if name == "auto" else name


@functools.cache
def set_up(how: str) -> None:
    """Once a process: OpenCV has no threads of its own beside the reader's, and says nothing of
    damaged files; we do."""
    if how == "cv2":
        import cv2

        cv2.setNumThreads(0)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def draw_rectangle(rng: np.random.Generator, height: int, width: int, area, aspect) -> Box:
    """As augment.draw_rectangle: its share of the area is uniform in `area`, and so on; ten tries,
    else the middle."""
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
    """What becomes a square of `side` where the image's shorter side becomes uniform from low to
    high, from anywhere.

    central: from anywhere in the central square, Krizhevsky et al. 2012, section 2. Without:
    Simonyan & Zisserman 2014, section 3.1; He et al. 2015, section 3.4.
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


def decode_with_pillow(jpeg: bytes):
    """The image in RGB, as Pillow holds it. Raises its errors, of which a truncated file is one."""
    import PIL.Image

    return PIL.Image.open(io.BytesIO(jpeg)).convert("RGB")


def cut(jpeg: bytes, box, into: np.ndarray, how: str) -> None:
    """Writes into uint8 [side, side, 3] what box(height, width) of the image becomes, antialiased
    where that makes it smaller.

    Grey and CMYK images become RGB, and a camera's note on orientation is not followed. how: "cv2"
    or "pillow".
    Raises ValueError or OSError for an image that is damaged or ends too soon.
    """
    side = len(into)
    if how == "pillow":
        image = decode_with_pillow(jpeg)
        top, left, height, width = box(image.height, image.width)
        where = (left, top, left + width, top + height)
        # 2: bilinear, as wide as a source pixel or more
        into[:] = image.resize((side, side), resample=2, box=where)
        return
    import cv2

    encoded = np.frombuffer(jpeg, np.uint8)
    image = (
        cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if jpeg
        else None
    )
    if image is None:
        raise ValueError("it is no image")
    # OpenCV fills the rest of a truncated file with grey and says nothing
    if not jpeg.endswith(b"\xff\xd9"):
        decode_with_pillow(jpeg)
    top, left, height, width = box(*image.shape[:2])
    part = image[top : top + height, left : left + width]
    how = cv2.INTER_AREA if min(height, width) > side else cv2.INTER_LINEAR
    cv2.resize(part, (side, side), dst=into, interpolation=how)
