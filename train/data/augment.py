"""Random changes of one training image on the device.

An image is [H, W, C], uint8 or float32, and comes with a key; the caller maps over both.

Each change draws a few numbers (draw_...) and then does plain arithmetic with them. The numbers
depend only on the key, so any number of devices gives the same batch. Shapes are static and there
are no loops. Resampling is bilinear and gives float32.
"""

import jax
import jax.numpy as jnp
import numpy as np

# statistics of RGB in [0, 1] over ImageNet; fb.resnet.torch's
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
EIGENVECTORS = np.array(  # [R, G, B] by eigenvalue
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32
)
TRIES = 10  # to draw a rectangle that fits, as in fb.resnet.torch


def flip(image, key):
    """The image, or its mirror image with probability 1/2. Krizhevsky et al. 2012, section 4.1."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def pad(image, pixels: int, fill=0):
    """Adds `pixels` of the value `fill`, a number or [C], on each side.

    Returns [H + 2 pixels, W + 2 pixels, C].
    """
    if not pixels:
        return image
    height, width, channels = image.shape
    whole = jnp.full([height + 2 * pixels, width + 2 * pixels, channels], fill, image.dtype)
    return whole.at[pixels : pixels + height, pixels : pixels + width].set(image)


def draw_corner(key, spare):
    """int32 [2], each from 0 to `spare` inclusive; spare is one number, or one per direction."""
    return jax.random.randint(key, [2], 0, spare + 1)


def window(image, corner, height: int, width: int):
    """The pixels [corner[0] : corner[0] + height, corner[1] : corner[1] + width]."""
    return jax.lax.dynamic_slice(image, [*corner, 0], [height, width, image.shape[2]])


def random_crop(image, key, *, side: int):
    """A square [side, side, C] from a random position in the image.

    Krizhevsky et al. 2012, section 4.1: 224 from 256.
    """
    height, width = image.shape[:2]
    return window(image, draw_corner(key, np.array([height - side, width - side])), side, side)


def pad_crop(image, key, *, pixels: int, fill=0):
    """Pads by `pixels` of value `fill`, then crops to [H, W, C] at a random position.

    He et al. 2015, section 4.2, with 4 pixels.
    """
    return window(pad(image, pixels, fill), draw_corner(key, 2 * pixels), *image.shape[:2])


def resample(image, scale, corner, side: int):
    """Scales the image by `scale` [2] and cuts [side, side, C] float32 at `corner` [2].

    Scaling is bilinear. Output pixel o of an axis is the point (o + corner + 1/2) / scale - 1/2 of
    the image. If scale < 1 the triangle is as wide as 1 / scale input pixels (antialiasing). Near
    the border of the square it also uses the image's pixels outside the square; at the border of
    the image the weights inside are normalised.
    """
    image, shape = image.astype(jnp.float32), (side, side, image.shape[2])
    return jax.image.scale_and_translate(
        image, shape, (0, 1), scale, -corner, method="linear", antialias=True
    )


def draw_rectangle(key, height: int, width: int, area, aspect):
    """corner int32 [2] and size int32 [2] of a rectangle inside height x width.

    Its share of the area is uniform in `area`. Its ratio of width to height is uniform in `aspect`
    and then inverted with probability 1/2. The first of ten draws that fits is taken, otherwise the
    largest square in the middle.
    """
    share, ratio, swap, place = jax.random.split(key, 4)
    pixels = height * width * jax.random.uniform(share, [TRIES], minval=area[0], maxval=area[1])
    ratio = jax.random.uniform(ratio, [TRIES], minval=aspect[0], maxval=aspect[1])
    ratio = jnp.where(jax.random.bernoulli(swap, shape=[TRIES]), 1 / ratio, ratio)
    # [TRIES, 2]
    sizes = jnp.round(
        jnp.stack([jnp.sqrt(pixels / ratio), jnp.sqrt(pixels * ratio)], axis=1)
    ).astype(jnp.int32)
    whole = np.array([height, width], np.int32)
    fits = ((sizes >= 1) & (sizes <= whole)).all(axis=1)
    square = np.minimum(height, width).repeat(2).astype(np.int32)
    size = jnp.where(fits.any(), sizes[fits.argmax()], square)
    corner = jnp.where(fits.any(), draw_corner(place, whole - size), (whole - square) // 2)
    return corner, size


def random_resized_crop(image, key, *, side: int, area=(0.08, 1.0), aspect=(3 / 4, 4 / 3)):
    """A random rectangle of the image, resized to [side, side, C].

    Szegedy et al. 2014, section 6; the ten tries are fb.resnet.torch's.

    The paper does not say how the rectangle is resampled; see `resample`.
    """
    corner, size = draw_rectangle(key, *image.shape[:2], area, aspect)
    scale = side / size
    return resample(image, scale, corner * scale, side)


def draw_jitter(key, height: int, width: int, side: int, low: int, high: int):
    """The shorter side's new length, int32 [] from low to high, and a crop's corner, int32 [2].

    The corner belongs to a square of `side` in the image rescaled to that length.
    """
    size, place = jax.random.split(key)
    shorter = jax.random.randint(size, [], low, high + 1)
    rescaled = np.array([height, width]) * shorter // min(height, width)
    return shorter, draw_corner(place, rescaled - side)


def scale_jitter(image, key, *, side: int, low: int, high: int):
    """A square [side, side, C] at random in the image rescaled to a random size.

    The shorter side of the rescaled image is uniform from low to high; side <= low.
    Simonyan & Zisserman 2014, section 3.1 (224 from [256, 512]); He et al. 2015, section 3.4 ([256,
    480]).
    """
    shorter, corner = draw_jitter(key, *image.shape[:2], side, low, high)
    scale = jnp.broadcast_to(shorter / min(image.shape[:2]), [2])
    return resample(image, scale, corner.astype(jnp.float32), side)


def draw_alpha(key, deviation: float):
    """float32 [3], from a normal distribution."""
    return deviation * jax.random.normal(key, [3])


def pca_noise(image, key, *, deviation: float = 0.1, unit=1.0):
    """RGB plus [p1, p2, p3] [a1 l1, a2 l2, a3 l3]', with one a ~ N(0, deviation^2) per image.

    Krizhevsky et al. 2012, section 4.1.
    p, l: eigenvectors and eigenvalues of ImageNet's RGB in [0, 1]. unit: what 1 on that scale is in
    this image, scalar or [C].
    """
    # [C], computed so that no matrix unit rounds it
    noise = (EIGENVECTORS * (draw_alpha(key, deviation) * EIGENVALUES)).sum(axis=1)
    return image + unit * noise


def draw_affine(key, translation: float, scaling: float, squeezing: float, shear: float):
    """(down and right [2] in pixels, scale, squeeze, shear), each drawn uniformly.

    They are centred on 0, 1, 1 and 0 and differ from it by at most the argument.
    """
    u = jax.random.uniform(key, [5], minval=-1, maxval=1)
    return translation * u[:2], 1 + scaling * u[2], 1 + squeezing * u[3], shear * u[4]


def lenet_distortions(image, key, translation=2.0, scaling=0.1, squeezing=0.1, shear=0.2, fill=0.0):
    """A random planar affine map about the centre, [H, W, C] float32.

    LeCun et al. 1998, section III-C. Translations, scaling, squeezing (one direction shrinks as the
    other grows) and horizontal shear are the paper's. It gives no magnitudes, so these defaults are
    ours. From the centre, with (y, x) -> (y', x'):
      y' = scale / squeeze * y + down,   x' = scale * squeeze * (x + shear * y) + right
    Bilinear; outside the image the value is `fill`, a number or [C].
    """
    height, width = image.shape[:2]
    (down, right), scale, squeeze, lean = draw_affine(key, translation, scaling, squeezing, shear)
    row, column = jnp.mgrid[:height, :width]
    y = (row - (height - 1) / 2 - down) * squeeze / scale
    x = (column - (width - 1) / 2 - right) / (scale * squeeze) - lean * y
    places = [y + (height - 1) / 2, x + (width - 1) / 2]

    def one(channel):
        return jax.scipy.ndimage.map_coordinates(
            channel, places, order=1, mode="constant", cval=0.0
        )

    return jax.vmap(one, in_axes=2, out_axes=2)(image.astype(jnp.float32) - fill) + fill
