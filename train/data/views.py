"""What evaluation sees of one image [H, W, C]: one view or several, whose probabilities the step averages."""

import jax
import jax.numpy as jnp


def rescaled_size(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Height and width with the shorter one made `shorter`, the other rounded: isotropic to a pixel."""
    return tuple(round(length * shorter / min(height, width)) for length in (height, width))


def rescale(image, shorter: int):
    """The image with its shorter side made `shorter`, bilinear and antialiased; unchanged where it is that already."""
    height, width, channels = image.shape
    size = rescaled_size(height, width, shorter)
    return image if size == (height, width) else jax.image.resize(image, (*size, channels), "linear", antialias=True)


def whole(image, side):
    """[1, H, W, C]: the image as it is."""
    return image[None]


def centre(image, side: int):
    """[1, side, side, C]: the square in the middle (up and left of it by half a pixel where it does not come out even)."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[None, top : top + side, left : left + side]


def ten(image, side: int):
    """[10, side, side, C]: four corners and the centre, then their mirror images. Krizhevsky et al. 2012, section 4.1."""
    first, last = slice(side), slice(-side, None)
    corners = [image[rows, columns] for rows in (first, last) for columns in (first, last)]
    crops = jnp.stack([*corners, centre(image, side)[0]])
    return jnp.concatenate([crops, crops[:, :, ::-1]])


def dense(image, side):
    """[2, H, W, C]: the whole image, for a fully convolutional network, and its mirror. Simonyan & Zisserman 2014, 3.2."""
    return jnp.stack([image, image[:, ::-1]])


VIEWS = dict(whole=whole, centre=centre, ten=ten, dense=dense)
SQUARES = ("centre", "ten")  # those that need a side


def see(image, how: str, side: int, scales: tuple[int, ...]):
    """The views of one image: a tuple of [V, H', W', C], one for each scale, or [H', W', C] where there is one view in all.

    scales: lengths of the shorter side to rescale to; none: the image as it is.
    """
    seen = tuple(VIEWS[how](image, side) for image in ([rescale(image, s) for s in scales] if scales else [image]))
    return seen[0][0] if len(seen) == 1 and len(seen[0]) == 1 else seen
