"""Random changes of one training image, on the device: image [H, W, C], uint8 or float32, and a
key; the caller maps over both.

Each is a draw of a few numbers (draw_...) and then plain arithmetic with them. The numbers depend
on the key alone, so any number of devices gives the same batch. Shapes are static and nothing
loops. Resampling is bilinear and gives float32.
"""

import jax
import jax.numpy as jnp
import numpy as np

# of RGB in [0, 1] over ImageNet; fb.resnet.torch's
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
EIGENVECTORS = np.array(  # [R, G, B] by eigenvalue
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], np.float32
)
TRIES = 10  # of a rectangle that fits, as in fb.resnet.torch


def flip(image, key):
    """The image, or with probability 1/2 its mirror image. Krizhevsky et al. 2012, section 4.1."""
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def pad(image, pixels: int, fill=0):
    """`pixels` more on each side, [H + 2 pixels, W + 2 pixels, C], of the value `fill`, a number or
    [C]."""
    if not pixels:
        return image
    height, width, channels = image.shape
    whole = jnp.full([height + 2 * pixels, width + 2 * pixels, channels], fill, image.dtype)
    return whole.at[pixels : pixels + height, pixels : pixels + width].set(image)


def draw_corner(key, spare):
    """int32 [2]: from 0 to `spare`, one number or one for each direction, both ends included."""
    return jax.random.randint(key, [2], 0, spare + 1)


def window(image, corner, height: int, width: int):
    """The pixels [corner[0] : corner[0] + height, corner[1] : corner[1] + width]."""
    return jax.lax.dynamic_slice(image, [*corner, 0], [height, width, image.shape[2]])


def random_crop(image, key, *, side: int):
    """A square [side, side, C] from anywhere in the image. Krizhevsky et al. 2012, section 4.1: 224
    from 256."""
    height, width = image.shape[:2]
    return window(image, draw_corner(key, np.array([height - side, width - side])), side, side)


def pad_crop(image, key, *, pixels: int, fill=0):
    """Padded by `pixels` of value `fill`, then cut back to [H, W, C] anywhere. He et al. 2015,
    section 4.2, with 4 pixels."""
    return window(pad(image, pixels, fill), draw_corner(key, 2 * pixels), *image.shape[:2])


def resample(image, scale, corner, side: int):
    """[side, side, C] float32: what stands at `corner` [2] of the image made `scale` [2] times as
    large, bilinearly.

    Output pixel o of an axis is the point (o + corner + 1/2) / scale - 1/2 of the image; where
    scale < 1 the triangle is as wide as 1 / scale input pixels (antialiasing). Beside the square it
    sees the image's pixels, and at the image's edge the weights inside are normalised.
    """
    image, shape = image.astype(jnp.float32), (side, side, image.shape[2])
    return jax.image.scale_and_translate(
        image, shape, (0, 1), scale, -corner, method="linear", antialias=True
    )


def draw_rectangle(key, height: int, width: int, area, aspect):
    """corner int32 [2] and size int32 [2] of a rectangle inside height x width.

    Its share of the area is uniform in `area`, its ratio of width to height uniform in `aspect` and
    then inverted with probability 1/2; the first of ten such that fits is taken, else the largest
    square in the middle.
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
    """A random rectangle of the image made [side, side, C]. Szegedy et al. 2014, section 6;
    fb.resnet.torch's ten tries.

    The paper does not say how the rectangle is resampled; see `resample`.
    """
    corner, size = draw_rectangle(key, *image.shape[:2], area, aspect)
    scale = side / size
    return resample(image, scale, corner * scale, side)


def draw_jitter(key, height: int, width: int, side: int, low: int, high: int):
    """shorter int32 [], uniform from low to high, and the corner int32 [2] of a square in the image
    rescaled to it."""
    size, place = jax.random.split(key)
    shorter = jax.random.randint(size, [], low, high + 1)
    rescaled = np.array([height, width]) * shorter // min(height, width)
    return shorter, draw_corner(place, rescaled - side)


def scale_jitter(image, key, *, side: int, low: int, high: int):
    """The image rescaled so that its shorter side is uniform from low to high, then a square [side,
    side, C] from anywhere.

    Simonyan & Zisserman 2014, section 3.1 (224 from [256, 512]); He et al. 2015, section 3.4 ([256,
    480]). side <= low.
    """
    shorter, corner = draw_jitter(key, *image.shape[:2], side, low, high)
    scale = jnp.broadcast_to(shorter / min(image.shape[:2]), [2])
    return resample(image, scale, corner.astype(jnp.float32), side)


def draw_alpha(key, deviation: float):
    """float32 [3], normal."""
    return deviation * jax.random.normal(key, [3])


def pca_noise(image, key, *, deviation: float = 0.1, unit=1.0):
    """RGB plus [p1, p2, p3] [a1 l1, a2 l2, a3 l3]', one a ~ N(0, deviation^2) per image. Krizhevsky
    et al. 2012, section 4.1.

    p, l: eigenvectors and eigenvalues of ImageNet's RGB in [0, 1]. unit: what 1 on that scale is in
    this image, scalar or [C]."""
    # [C]; no matrix unit rounds it
    noise = (EIGENVECTORS * (draw_alpha(key, deviation) * EIGENVALUES)).sum(axis=1)
    return image + unit * noise


def draw_affine(key, translation: float, scaling: float, squeezing: float, shear: float):
    """(down and right [2] in pixels, scale, squeeze, shear), each uniform: around 0, 1, 1 and 0, by
    its argument either way."""
    u = jax.random.uniform(key, [5], minval=-1, maxval=1)
    return translation * u[:2], 1 + scaling * u[2], 1 + squeezing * u[3], shear * u[4]


def lenet_distortions(image, key, translation=2.0, scaling=0.1, squeezing=0.1, shear=0.2, fill=0.0):
    """A random planar affine map about the centre, [H, W, C] float32. LeCun et al. 1998, section
    III-C.

    Translations, scaling, squeezing (one direction shrinks as the other grows) and horizontal shear
    are the paper's; it gives no magnitudes: these defaults are ours. From the centre, with (y,
    x) -> (y', x'):
      y' = scale / squeeze * y + down,   x' = scale * squeeze * (x + shear * y) + right
    Bilinear; outside the image is `fill`, a number or [C].
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
