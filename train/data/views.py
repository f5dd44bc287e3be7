"""The views of one image [H, W, C] in evaluation; the step averages their probabilities."""

import jax
import jax.numpy as jnp


def rescaled_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Height and width with the shorter one set to `shorter`, and the other scaled and rounded."""
    return tuple(round(length * shorter / min(height, width)) for length in (height, width))


def rescale(image, shorter: int):
    """The image with its shorter side scaled to `shorter`, bilinear and antialiased.

    It is unchanged if it has that size already.
    """
    height, width, channels = image.shape
    size = rescaled_size(height, width, shorter)
    return (
        image
        if size == (height, width)
        else jax.image.resize(image, (*size, channels), "linear", antialias=True)
    )


def whole(image, side):
    """[1, H, W, C]: the image as it is."""
    return image[None]


def centre(image, side: int):
    """[1, side, side, C]: the square in the middle, half a pixel up and left if it is not exact."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[None, top : top + side, left : left + side]


def ten(image, side: int):
    """[10, side, side, C]: four corners and the centre, then their mirror images.

    Krizhevsky et al. 2012, section 4.1.
    """
    return _mirrored(_corners_and_centre(image, side))


def grid(image, side: int):
    """[50, side, side, C]: squares at 5 x 5 even places, then their mirror images.

    Simonyan & Zisserman 2014, section 3.2.
    """
    tops, lefts = ([round(i * (length - side) / 4) for i in range(5)] for length in image.shape[:2])
    return _mirrored(
        [image[top : top + side, left : left + side] for top in tops for left in lefts]
    )


def squares(image, side: int):
    """[36, side, side, C]: views of the first, middle and last square of the image.

    Each square gives its corners, its centre and all of it, rescaled; then come the mirror images.
    With scales 256, 288, 320, 352 these are the 144 crops of Szegedy et al. 2014, section 7.
    """
    height, width, _ = image.shape
    short = min(height, width)
    # one of the two stays 0
    places = [((height - short) * k // 2, (width - short) * k // 2) for k in range(3)]
    cut = [image[top : top + short, left : left + short] for top, left in places]
    return _mirrored(
        [
            crop
            for square in cut
            for crop in (*_corners_and_centre(square, side), rescale(square, side))
        ]
    )


def _corners_and_centre(image, side: int) -> list:
    first, last = slice(side), slice(image.shape[0] - side, None)
    ahead, behind = slice(side), slice(image.shape[1] - side, None)
    return [
        *(image[rows, columns] for rows in (first, last) for columns in (ahead, behind)),
        centre(image, side)[0],
    ]


def _mirrored(crops: list):
    crops = jnp.stack(crops)
    return jnp.concatenate([crops, crops[:, :, ::-1]])


def dense(image, side):
    """[2, H, W, C]: the whole image, for a fully convolutional network, and its mirror image.

    Simonyan & Zisserman 2014, section 3.2.
    """
    return jnp.stack([image, image[:, ::-1]])


VIEWS = dict(whole=whole, centre=centre, ten=ten, grid=grid, squares=squares, dense=dense)
SQUARES = ("centre", "ten", "grid", "squares")  # those that need a side


def see(image, how: str, side: int, scales: tuple[int, ...]):
    """The views of one image: a tuple of [V, H', W', C] per scale.

    If there is only one view it is [H', W', C].

    how: one of VIEWS, or several joined by +, such as "grid+dense", with equal weights; they follow
    each other in the tuple. scales: lengths of the shorter side to rescale to; () for the image as
    it is.
    """
    images = [rescale(image, shorter) for shorter in scales] if scales else [image]
    seen = tuple(VIEWS[kind](image, side) for kind in how.split("+") for image in images)
    return seen[0][0] if len(seen) == 1 and len(seen[0]) == 1 else seen
