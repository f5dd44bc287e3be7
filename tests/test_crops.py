"""Squares cut on the host, each against a transcription in numpy."""

import io

import numpy as np
import PIL.Image
import pytest
from folders import jpeg, photograph

from train.data import augment, crops

DECODERS = ["cv2", "pillow"]
IMAGE = next(image for image in map(photograph, range(99)) if image.shape[1] >= 90)[:60, :90]
JPEG = jpeg(IMAGE)
PIXELS = np.asarray(PIL.Image.open(io.BytesIO(JPEG)))


def cut(data, box, side, how):
    if how == "cv2":
        pytest.importorskip("cv2")
    into = np.empty([side, side, 3], np.uint8)
    crops.cut(data, box, into, how)
    return into


@pytest.mark.parametrize("how", DECODERS)
def test_a_square_of_its_own_size_has_the_pixels_of_the_photograph(how):
    drawn = []

    def box(height, width):
        drawn.append(
            crops.draw_jitter(
                np.random.default_rng([5, 77]), height, width, 40, 60, 60, central=False
            )
        )
        return drawn[0]

    rng = np.random.default_rng([5, 77])
    assert rng.integers(60, 61) == 60
    top, left = rng.integers([60 - 40 + 1, 90 - 40 + 1])
    assert np.array_equal(cut(JPEG, box, 40, how), PIXELS[top : top + 40, left : left + 40])
    assert drawn == [(top, left, 40, 40)]


def test_a_square_made_half_as_large_has_the_means_of_two_by_two_pixels():
    half = PIXELS[10:50, 20:60].reshape(20, 2, 20, 2, 3).mean((1, 3))
    np.testing.assert_allclose(cut(JPEG, lambda *_: (10, 20, 40, 40), 20, "cv2"), half, atol=0.51)


def test_pillow_weighs_pixels_also_beside_the_square_by_a_triangle_as_wide_as_the_step():
    def weights(first, length):
        centre = first + (np.arange(20) + 0.5) * 2
        weight = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centre[:, None]) / 2)
        return weight / weight.sum(axis=1, keepdims=True)

    expected = np.einsum("yi,xj,ijc->yxc", weights(10, 60), weights(20, 90), PIXELS.astype(float))
    np.testing.assert_allclose(
        cut(JPEG, lambda *_: (10, 20, 40, 40), 20, "pillow"), expected, atol=1.01
    )


def test_opencv_and_pillow_decode_alike_and_rescale_alike_to_a_grey_level():
    smooth = jpeg(np.asarray(PIL.Image.fromarray(IMAGE).resize((300, 200), PIL.Image.BICUBIC)))
    for side, close in ((200, 0.01), (64, 1.0)):
        squares = [cut(smooth, crops.central_square, side, how).astype(float) for how in DECODERS]
        assert np.abs(squares[0] - squares[1]).mean() < close


@pytest.mark.parametrize("seed", range(20))
def test_a_rectangle_is_the_first_of_ten_that_fits(seed):
    height, width, area, aspect = 60, 90, (0.08, 1.0), (3 / 4, 4 / 3)
    rng = np.random.default_rng(seed)
    shares, ratios, inverted = (
        rng.uniform(0.08, 1, 10),
        rng.uniform(3 / 4, 4 / 3, 10),
        rng.random(10) < 0.5,
    )
    expected = (0, 15, 60, 60)
    for share, ratio, swap in zip(shares, ratios, inverted, strict=True):
        ratio = 1 / ratio if swap else ratio
        h, w = round((share * 5400 / ratio) ** 0.5), round((share * 5400 * ratio) ** 0.5)
        if h <= 60 and w <= 90:
            expected = (*rng.integers([60 - h + 1, 90 - w + 1]), h, w)
            break
    assert (
        crops.draw_rectangle(np.random.default_rng(seed), height, width, area, aspect) == expected
    )


def test_where_no_rectangle_fits_it_is_the_square_in_the_middle():
    rng = np.random.default_rng(0)
    assert (
        crops.draw_rectangle(rng, 20, 100, (0.9, 1.0), (0.9, 1.0))
        == crops.central_square(20, 100)
        == (0, 40, 20, 20)
    )


def test_rectangles_of_the_host_and_of_the_device_are_of_the_same_sizes():
    import jax

    draw = jax.jit(
        jax.vmap(lambda key: augment.draw_rectangle(key, 60, 90, (0.08, 1.0), (3 / 4, 4 / 3))[1])
    )
    device = np.asarray(draw(jax.random.split(jax.random.key(0), 4000)))
    rng = np.random.default_rng(0)
    host = np.array(
        [crops.draw_rectangle(rng, 60, 90, (0.08, 1.0), (3 / 4, 4 / 3))[2:] for _ in range(4000)]
    )
    np.testing.assert_allclose(device.mean(0), host.mean(0), rtol=0.03)
    np.testing.assert_allclose(device.std(0), host.std(0), rtol=0.05)


@pytest.mark.parametrize(("central", "lefts"), [(True, (15, 35)), (False, (0, 50))])
def test_alexnets_squares_are_from_the_middle_and_vggs_from_anywhere(central, lefts):
    rng = np.random.default_rng(0)
    boxes = [crops.draw_jitter(rng, 60, 90, 40, 60, 60, central=central) for _ in range(2000)]
    top, left, *_ = np.array(boxes).T
    assert (top.min(), top.max(), left.min(), left.max()) == (0, 20, *lefts)


def test_scale_jitter_draws_each_length_of_the_shorter_side():
    rng = np.random.default_rng(0)
    sizes = {crops.draw_jitter(rng, 60, 90, 40, 40, 80, central=False)[2] for _ in range(3000)}
    assert sizes == {round(60 * 40 / shorter) for shorter in range(40, 81)}


@pytest.mark.parametrize("how", DECODERS)
def test_grey_and_four_colour_photographs_become_rgb(how):
    for mode in ("L", "CMYK"):
        file = io.BytesIO()
        PIL.Image.fromarray(IMAGE).convert(mode).save(file, "JPEG", quality=95)
        square = cut(file.getvalue(), crops.central_square, 60, how).astype(float)
        target = PIXELS[:, 15:75].astype(float)
        assert np.abs(square.mean() - target.mean()) < 12, mode
        assert (np.ptp(square, axis=-1) == 0).all() == (mode == "L")


@pytest.mark.parametrize("how", DECODERS)
@pytest.mark.parametrize("cut_at", [0, 2, 0.3, 0.9, 0.999])
def test_a_truncated_photograph_is_never_passed_over(how, cut_at):
    end = cut_at if cut_at >= 2 else int(len(JPEG) * cut_at)
    with pytest.raises(ValueError):
        cut(JPEG[:end], crops.central_square, 8, how)


def test_bytes_after_the_end_of_a_photograph_do_no_harm():
    for how in DECODERS:
        assert np.array_equal(
            cut(JPEG + b"\0\0", lambda *_: (0, 0, 40, 40), 40, how), PIXELS[:40, :40]
        )
