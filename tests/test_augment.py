"""Augmentation and views: each is what a transcription in plain numpy makes of the same drawn
numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.data import augment, views

RNG = np.random.default_rng(0)
PHOTOGRAPH = RNG.integers(0, 256, [375, 500, 3], np.uint8)  # of ImageNet's usual size
SMALL = RNG.integers(0, 256, [13, 9, 3], np.uint8)
WIDE = RNG.integers(0, 256, [9, 13, 3], np.uint8)
KEYS = jax.random.split(jax.random.key(0), 300)


def triangle(length, scale, corner, side):
    """[side, length]: the weights with which the pixels of one axis make each output pixel."""
    weights = np.zeros([side, length])
    for o in range(side):
        place = (o + corner + 0.5) / scale - 0.5
        width = max(1, 1 / scale)
        for i in range(length):
            weights[o, i] = max(0, 1 - abs(i - place) / width)
        weights[o] /= weights[o].sum()
    return weights


def resampled(image, scale, corner, side):
    rows, columns = (
        triangle(n, s, c, side) for n, s, c in zip(image.shape[:2], scale, corner, strict=True)
    )
    return np.stack(
        [rows @ image[..., c].astype(float) @ columns.T for c in range(image.shape[2])], axis=-1
    )


def bilinear(image, y, x, fill):
    """The value of one channel at a point; outside it is `fill`."""
    top, left, value = int(np.floor(y)), int(np.floor(x)), 0.0
    for i in (top, top + 1):
        for j in (left, left + 1):
            inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
            value += (1 - abs(y - i)) * (1 - abs(x - j)) * (image[i, j] if inside else fill)
    return value


def drawn(function, *arguments):
    """What `function` draws for each of KEYS, as numpy arrays with a leading axis."""
    return jax.tree.map(np.asarray, jax.vmap(lambda key: function(key, *arguments))(KEYS))


def test_flip_mirrors_left_and_right_for_about_half_of_the_keys():
    images = np.asarray(jax.vmap(lambda key: augment.flip(SMALL, key))(KEYS))
    mirrored = np.array([[[SMALL[i, 8 - j] for j in range(9)] for i in range(13)]])[0]
    kinds = [
        0 if np.array_equal(image, SMALL) else 1 if np.array_equal(image, mirrored) else 2
        for image in images
    ]
    assert 2 not in kinds and 0.4 < np.mean(kinds) < 0.6


def test_pad_crop_is_a_window_of_the_image_in_a_frame_of_the_fill():
    fill = np.array([7, 8, 9], np.uint8)
    framed = np.empty([13 + 4, 9 + 4, 3], np.uint8)
    for i in range(17):
        for j in range(13):
            framed[i, j] = SMALL[i - 2, j - 2] if 2 <= i < 15 and 2 <= j < 11 else fill
    corners = drawn(augment.draw_corner, 4)
    for key, (top, left) in zip(KEYS[:20], corners, strict=False):
        made = augment.pad_crop(SMALL, key, pixels=2, fill=fill)
        assert np.array_equal(made, framed[top : top + 13, left : left + 9])
    assert {tuple(corner) for corner in corners} == {(i, j) for i in range(5) for j in range(5)}


def test_random_crop_is_a_square_window_that_reaches_every_corner_of_the_image():
    corners = drawn(augment.draw_corner, np.array([3, 7]))
    assert {tuple(corner) for corner in corners} == {(i, j) for i in range(4) for j in range(8)}
    for key, (top, left) in zip(
        KEYS[:20], drawn(augment.draw_corner, np.array([6, 2])), strict=False
    ):
        assert np.array_equal(
            augment.random_crop(SMALL, key, side=7), SMALL[top : top + 7, left : left + 7]
        )
    assert augment.random_crop(PHOTOGRAPH, KEYS[0], side=224).shape == (224, 224, 3)


@pytest.mark.parametrize("scale", [(2.3, 2.3), (0.4, 0.7), (1.0, 1.0)])
def test_resampling_is_a_triangle_around_each_point_as_wide_as_an_output_pixel(scale):
    made = augment.resample(SMALL, jnp.array(scale), jnp.array([1.0, 0.0]), 3)
    np.testing.assert_allclose(made, resampled(SMALL, scale, (1, 0), 3), atol=1e-3)


@pytest.mark.parametrize(("image", "side"), [(SMALL, 6), (WIDE, 20), (PHOTOGRAPH, 224)])
def test_a_random_resized_crop_is_its_rectangle_resampled_to_the_square(image, side):
    corners, sizes = drawn(augment.draw_rectangle, *image.shape[:2], (0.08, 1.0), (3 / 4, 4 / 3))
    for key, corner, size in list(zip(KEYS, corners, sizes, strict=True))[
        : 2 if side == 224 else 10
    ]:
        scale = side / size
        made = augment.random_resized_crop(image, key, side=side)
        np.testing.assert_allclose(made, resampled(image, scale, corner * scale, side), atol=0.02)


def test_the_rectangles_have_the_area_and_aspect_they_are_to_have_and_lie_inside():
    corners, sizes = drawn(augment.draw_rectangle, 375, 500, (0.08, 1.0), (3 / 4, 4 / 3))
    share, aspect = sizes.prod(1) / (375 * 500), sizes[:, 1] / sizes[:, 0]
    assert (corners >= 0).all() and (corners + sizes <= (375, 500)).all()
    assert 0.079 < share.min() < 0.12 and 0.85 < share.max() <= 1
    assert 0.74 < aspect.min() < 0.78 and 1.29 < aspect.max() < 1.345
    assert 0.4 < (aspect > 1).mean() < 0.65
    free = (375, 500) - sizes
    assert (corners[free.min(1) > 100].min(0) < 10).all() and (
        (free - corners)[free.min(1) > 100].min(0) < 10
    ).all()


def rectangle_by_loop(key, height, width, area, aspect):
    """The first of ten tries that fits, from the same random numbers, one after the other."""
    share, ratio, swap, place = jax.random.split(key, 4)
    share = np.asarray(jax.random.uniform(share, [10], minval=area[0], maxval=area[1]), float)
    ratio = np.asarray(jax.random.uniform(ratio, [10], minval=aspect[0], maxval=aspect[1]), float)
    swap = np.asarray(jax.random.bernoulli(swap, shape=[10]))
    for i in range(10):
        w = round(np.sqrt(share[i] * height * width * ratio[i]))
        h = round(np.sqrt(share[i] * height * width / ratio[i]))
        if swap[i]:
            w, h = h, w
        if h <= height and w <= width:
            return np.asarray(
                jax.random.randint(place, [2], 0, np.array([height - h + 1, width - w + 1]))
            ), (h, w)
    short = min(height, width)
    return np.array([(height - short) // 2, (width - short) // 2]), (short, short)


@pytest.mark.parametrize("aspect", [(3 / 4, 4 / 3), (2.5, 4.0), (90.0, 100.0)])
def test_the_first_rectangle_of_ten_that_fits_is_taken_and_else_the_square_in_the_middle(aspect):
    squares = 0
    for key in KEYS[:60]:
        corner, size = augment.draw_rectangle(key, 30, 40, (0.3, 1.0), aspect)
        expected_corner, expected_size = rectangle_by_loop(key, 30, 40, (0.3, 1.0), aspect)
        assert (tuple(size), tuple(corner)) == (expected_size, tuple(expected_corner))
        squares += expected_size == (30, 30) and tuple(expected_corner) == (0, 5)
    assert squares == {0.75: 0, 2.5: squares, 90.0: 60}[aspect[0]]


@pytest.mark.parametrize(
    ("image", "side", "low", "high"),
    [(SMALL, 8, 8, 20), (WIDE, 5, 5, 9), (PHOTOGRAPH, 224, 256, 512)],
)
def test_scale_jitter_is_a_window_of_the_rescaled_image(image, side, low, high):
    height, width = image.shape[:2]
    shorter, corners = drawn(augment.draw_jitter, height, width, side, low, high)
    for key, length, corner in list(zip(KEYS, shorter, corners, strict=True))[
        : 2 if side == 224 else 10
    ]:
        scale = length / min(height, width)
        made = augment.scale_jitter(image, key, side=side, low=low, high=high)
        np.testing.assert_allclose(made, resampled(image, (scale, scale), corner, side), atol=0.02)
    assert shorter.min() < low + 0.1 * (high - low) and shorter.max() > high - 0.1 * (high - low)
    assert low <= shorter.min() and shorter.max() <= high
    rescaled = np.stack(
        [height * shorter // min(height, width), width * shorter // min(height, width)], axis=1
    )
    assert (corners >= 0).all() and (corners + side <= rescaled).all()
    assert (corners + side == rescaled).any() and (corners == 0).any()


def test_scale_jitter_draws_every_length_from_the_lowest_to_the_highest():
    assert set(drawn(augment.draw_jitter, 10, 10, 4, 6, 10)[0].tolist()) == {6, 7, 8, 9, 10}


def test_pca_noise_adds_one_colour_to_all_pixels_of_an_image():
    values = [0.2175, 0.0188, 0.0045]
    vectors = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    alphas = drawn(augment.draw_alpha, 0.1)
    unit = np.array([255.0, 100.0, 10.0], np.float32)
    for key, alpha in zip(KEYS[:10], alphas, strict=False):
        made = np.asarray(augment.pca_noise(SMALL, key, unit=unit))
        for channel in range(3):
            noise = sum(vectors[channel][k] * alpha[k] * values[k] for k in range(3))
            np.testing.assert_allclose(
                made[..., channel], SMALL[..., channel] + unit[channel] * noise, rtol=1e-5
            )
    assert alphas.std() == pytest.approx(0.1, rel=0.1) and abs(alphas.mean()) < 0.02
    # the constants are orthonormal
    np.testing.assert_allclose(np.array(vectors).T @ vectors, np.eye(3), atol=2e-3)


def test_lenet_distortions_read_each_pixel_where_the_inverse_affine_map_says():
    fill = np.array([5.0, 0.0, -3.0], np.float32)
    limits = (2.0, 0.2, 0.3, 0.5)
    shifts, scales, squeezes, shears = drawn(augment.draw_affine, *limits)
    for n, key in enumerate(KEYS[:6]):
        made = augment.lenet_distortions(SMALL, key, *limits, fill=fill)
        # from the centre: (y, x) -> (scale / squeeze * y + down,
        # scale * squeeze * (x + shear * y) + right)
        forward = np.array(
            [
                [scales[n] / squeezes[n], 0],
                [scales[n] * squeezes[n] * shears[n], scales[n] * squeezes[n]],
            ]
        )
        expected = np.empty([13, 9, 3])
        for i in range(13):
            for j in range(9):
                y, x = np.array([6, 4]) + np.linalg.solve(
                    forward, np.array([i - 6, j - 4]) - shifts[n]
                )
                expected[i, j] = [bilinear(SMALL[..., c], y, x, fill[c]) for c in range(3)]
        np.testing.assert_allclose(made, expected, atol=0.02)
    for numbers, middle, limit in (
        (shifts, 0, 2),
        (scales, 1, 0.2),
        (squeezes, 1, 0.3),
        (shears, 0, 0.5),
    ):
        assert 0.9 * limit < abs(numbers - middle).max() <= limit * 1.00001
        assert abs(numbers.mean() - middle) < 0.15 * limit


def test_lenet_distortions_of_size_nothing_change_nothing():
    np.testing.assert_allclose(
        augment.lenet_distortions(SMALL, KEYS[0], 0.0, 0.0, 0.0, 0.0), SMALL, atol=1e-3
    )


def test_ten_views_are_the_corners_and_the_centre_and_their_mirror_images():
    image = PHOTOGRAPH[:256, :256]
    made = np.asarray(views.ten(image, 224))
    for n, (top, left) in enumerate([(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]):
        crop = image[top : top + 224, left : left + 224]
        assert np.array_equal(made[n], crop) and np.array_equal(made[n + 5], np.flip(crop, axis=1))
    assert made.shape == (10, 224, 224, 3)


def test_grid_views_are_25_places_a_quarter_of_the_spare_pixels_apart_and_their_mirror_images():
    image = PHOTOGRAPH[:256, :312]
    made = np.asarray(views.grid(image, 224))
    places = [(top, left) for top in (0, 8, 16, 24, 32) for left in (0, 22, 44, 66, 88)]
    assert made.shape == (50, 224, 224, 3)
    for n, (top, left) in enumerate(places):
        crop = image[top : top + 224, left : left + 224]
        assert np.array_equal(made[n], crop) and np.array_equal(made[n + 25], crop[:, ::-1])


@pytest.mark.parametrize("upright", [False, True])
def test_squares_are_googlenets_36_crops_of_three_squares(upright):
    image = PHOTOGRAPH[:40, :61].astype(np.float32)  # squares of 40 from pixels 0, 10 and 21 on
    made = np.asarray(views.squares(np.swapaxes(image, 0, 1) if upright else image, 32))
    assert made.shape == (36, 32, 32, 3)
    whole = triangle(40, 32 / 40, 0, 32)
    for s, first in enumerate((0, 10, 21)):
        square = image[:, first : first + 40]
        for n, (top, left) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8), (4, 4), (None, None)]):
            crop = (
                np.einsum("ih,hwc,jw->ijc", whole, square, whole)
                if n == 5
                else square[top : top + 32, left : left + 32]
            )
            if upright:  # the corners come row by row in either case
                crop, n = np.swapaxes(crop, 0, 1), {1: 2, 2: 1}.get(n, n)
            np.testing.assert_allclose(made[6 * s + n], crop, atol=1e-3)
            np.testing.assert_allclose(made[18 + 6 * s + n], crop[:, ::-1], atol=1e-3)


def test_the_centre_view_leaves_as_much_on_either_side_to_a_pixel():
    assert np.array_equal(
        views.centre(PHOTOGRAPH, 224)[0], PHOTOGRAPH[75 : 75 + 224, 138 : 138 + 224]
    )


def test_dense_views_are_the_whole_image_and_its_mirror_image():
    made = np.asarray(views.dense(SMALL, 0))
    assert (
        np.array_equal(made[0], SMALL)
        and np.array_equal(made[1], SMALL[:, ::-1])
        and len(made) == 2
    )


@pytest.mark.parametrize(
    ("image", "shorter", "size"), [(SMALL, 8, (12, 8)), (WIDE, 14, (14, 20)), (SMALL, 9, (13, 9))]
)
def test_rescaling_makes_the_shorter_side_as_long_as_said(image, shorter, size):
    made = views.rescale(image.astype(np.float32), shorter)
    rows, columns = (triangle(a, b / a, 0, b) for a, b in zip(image.shape, size, strict=False))
    expected = np.stack([rows @ image[..., c].astype(float) @ columns.T for c in range(3)], axis=-1)
    np.testing.assert_allclose(made, expected, atol=1e-3)
    assert views.rescaled_size(375, 500, 256) == (256, 341)


def test_several_views_come_as_one_array_for_each_size_and_a_single_one_as_an_image():
    image = SMALL.astype(np.float32)
    assert views.see(image, "whole", 0, ()).shape == (13, 9, 3)
    assert views.see(image, "centre", 6, (9,)).shape == (6, 6, 3)
    assert [v.shape for v in views.see(image, "whole", 0, (9, 18))] == [
        (1, 13, 9, 3),
        (1, 26, 18, 3),
    ]
    assert [v.shape for v in views.see(image, "dense", 0, ())] == [(2, 13, 9, 3)]
    assert [v.shape for v in views.see(image, "ten", 6, (7, 8))] == [(10, 6, 6, 3)] * 2
    both = views.see(image, "grid+dense", 6, (9, 18))
    assert [v.shape for v in both] == [(50, 6, 6, 3), (50, 6, 6, 3), (2, 13, 9, 3), (2, 26, 18, 3)]
