"""Odd images: both decoders make the same pixels of each, or refuse it in the same words."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from train.data import crops, files, images, photographs

RAMP = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))  # [40, 48]
COLOURS = np.stack([RAMP, RAMP[:, ::-1], np.linspace(0, 255, 40)[:, None] + 0 * RAMP], -1).astype(
    np.uint8
)
WIDE = np.tile(np.linspace(0, 65535, 48).astype(np.uint16), (40, 1))
GREY = np.repeat(RAMP[..., None], 3, -1)


def encoded(pixels, kind: str, mode: str | None = None, **options) -> bytes:
    file = io.BytesIO()
    image = PIL.Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    """A PNG of these filtered rows. colour: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def wide_png(channels: int, colour: int) -> bytes:
    rows = np.repeat(WIDE[..., None], channels, -1).astype(">u2")
    return png(48, 40, 16, colour, b"".join(b"\0" + row.tobytes() for row in rows))


def oriented(number: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[crops.ORIENTATION] = number
    return encoded(COLOURS, "JPEG", quality=95, exif=exif)


def of_size(jpeg: bytes, height: int, width: int) -> bytes:
    """The JPEG with another size in its header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def animation(kind: str) -> bytes:
    return encoded(
        GREY, kind, save_all=True, append_images=[PIL.Image.fromarray(255 - GREY)], lossless=True
    )


JPEG, PNG = encoded(COLOURS, "JPEG", quality=95), encoded(COLOURS, "PNG")
DECODED = np.asarray(PIL.Image.open(io.BytesIO(JPEG)))
ALPHA = np.dstack([COLOURS, RAMP])
FEW = PIL.Image.fromarray(COLOURS).quantize(16)
READ = {  # name -> (file, its pixels; None: what both decoders say)
    "JPEG": (JPEG, DECODED),
    "grey JPEG": (encoded(RAMP, "JPEG", quality=95), None),
    "progressive JPEG": (encoded(COLOURS, "JPEG", progressive=True), None),
    "JPEG with colours at half the size": (encoded(COLOURS, "JPEG", subsampling=2), None),
    "JPEG of RGB": (encoded(COLOURS, "JPEG", keep_rgb=True), None),
    "CMYK JPEG": (encoded(COLOURS, "JPEG", "CMYK", quality=95), None),
    "JPEG with bytes after its end": (JPEG + b"\0\0", DECODED),
    "two JPEGs in one": (
        encoded(COLOURS, "MPO", save_all=True, append_images=[PIL.Image.fromarray(GREY)]),
        None,
    ),
    "JPEG with its end in the middle": (JPEG[:700] + b"\xff\xd9", None),
    **{
        f"JPEG of orientation {k}": (oriented(k), pixels)
        for k, pixels in {
            0: DECODED,
            1: DECODED,
            2: DECODED[:, ::-1],
            3: DECODED[::-1, ::-1],
            4: DECODED[::-1],
            5: DECODED.swapaxes(0, 1),
            6: np.rot90(DECODED, -1),
            7: np.rot90(DECODED, -1)[::-1],
            8: np.rot90(DECODED),
            9: DECODED,
        }.items()
    },
    "PNG": (PNG, COLOURS),
    "grey PNG": (encoded(RAMP, "PNG"), GREY),
    "PNG of 1 bit": (encoded(RAMP > 127, "PNG"), 255 * np.uint8(GREY > 127)),
    "PNG of 16 bits, grey": (wide_png(1, 0), np.repeat(np.uint8(WIDE >> 8)[..., None], 3, -1)),
    "PNG of 16 bits, grey with alpha": (wide_png(2, 4), None),
    "PNG of 16 bits, RGB": (wide_png(3, 2), np.repeat(np.uint8(WIDE >> 8)[..., None], 3, -1)),
    "PNG of 16 bits, RGBA": (wide_png(4, 6), np.repeat(np.uint8(WIDE >> 8)[..., None], 3, -1)),
    "PNG with alpha": (encoded(ALPHA, "PNG"), COLOURS),
    "grey PNG with alpha": (encoded(np.dstack([RAMP, RAMP]), "PNG"), GREY),
    "PNG with a palette": (encoded(FEW, "PNG"), np.asarray(FEW.convert("RGB"))),
    "PNG with a transparent palette": (
        encoded(FEW, "PNG", transparency=bytes(range(16))),
        np.asarray(FEW.convert("RGB")),
    ),
    "PNG with a transparent grey": (encoded(RAMP, "PNG", transparency=0), GREY),
    "PNG of 1 bit with a transparent one": (
        encoded(RAMP > 127, "PNG", transparency=0),
        255 * np.uint8(GREY > 127),
    ),
    "GIF": (encoded(RAMP, "GIF"), GREY),
    "animated GIF": (animation("GIF"), GREY),
    "WebP": (encoded(COLOURS, "WEBP", lossless=True), COLOURS),
    "animated WebP": (animation("WEBP"), GREY),
    "BMP": (encoded(COLOURS, "BMP"), COLOURS),
    "TIFF": (encoded(COLOURS, "TIFF"), COLOURS),
    "TIFF of 16 bits": (encoded(WIDE, "TIFF"), np.repeat(np.uint8(WIDE >> 8)[..., None], 3, -1)),
    "one pixel": (encoded(COLOURS[:1, :1], "PNG"), COLOURS[:1, :1]),
    "one row": (encoded(COLOURS[:1], "PNG"), COLOURS[:1]),
}
REFUSED = {  # name -> (file, what is said)
    "nothing": (b"", "it is not a valid JPEG, PNG,"),
    "a page": (b"<html>404</html>", "it is not a valid JPEG, PNG,"),
    "a name alone": (b"GIF89a", ""),
    "half a JPEG": (JPEG[: len(JPEG) // 2], "Truncated File Read"),
    "the header of a JPEG": (JPEG[:300], ""),
    "half a PNG": (PNG[: len(PNG) // 2], ""),
    "half a GIF": (encoded(RAMP, "GIF")[:-60], ""),
    "half a WebP": (encoded(COLOURS, "WEBP")[:60], ""),
    "half a TIFF": (encoded(COLOURS, "TIFF")[:900], ""),
    "PNG with a flipped byte": (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], ""),
    "PNG without pixels": (png(0, 0, 8, 2, b""), ""),
    "JPEG of 4,290,250,000 pixels": (of_size(JPEG, 65500, 65500), "4290250000 pixels"),
    "PNG of 400,000,000 pixels": (png(20_000, 20_000, 8, 2, b"\0" * 99), "400000000 pixels"),
    "TIFF of real numbers": (encoded(RAMP / np.float32(255), "TIFF"), "mode F"),
    "TIFF of 32 bits": (encoded(WIDE.astype(np.int32), "TIFF"), "mode I,"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is not a valid"),
}


def both(data: bytes) -> list:
    """What each decoder makes of a file: pixels, or the words of its refusal."""
    pytest.importorskip("cv2")
    outcomes = []
    for how in ("pillow", "cv2"):
        crops.set_up(how)
        try:
            outcomes.append(crops.decode(data, how))
        except ValueError as error:
            outcomes.append(str(error))
    return outcomes


def alike(a, b) -> bool:
    return type(a) is type(b) and np.array_equal(a, b)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", READ)
def test_both_decoders_make_the_same_pixels_of_a(name):
    data, pixels = READ[name]
    pillow, opencv = both(data)
    assert not isinstance(pillow, str), pillow
    assert pillow.dtype == np.uint8 and pillow.ndim == 3 and alike(pillow, opencv)
    if pixels is not None:
        assert np.array_equal(pillow, pixels)
    elif "grey" in name:
        assert np.abs(pillow.astype(int) - GREY).max() <= 2
    elif "end in the middle" not in name:
        assert np.abs(pillow.astype(int) - COLOURS).mean() < 20


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", REFUSED)
def test_both_decoders_refuse_in_the_same_line_what_is(name):
    data, says = REFUSED[name]
    pillow, opencv = both(data)
    assert isinstance(pillow, str) and pillow == opencv
    assert says in pillow and "\n" not in pillow and " at 0x" not in pillow


def test_an_image_of_too_many_pixels_is_refused_before_anything_decodes_it(monkeypatch):
    for part in ("_with_opencv", "_with_pillow"):
        monkeypatch.setattr(crops, part, lambda *_: pytest.fail("it was decoded"))
    for name in ("JPEG of 4,290,250,000 pixels", "PNG of 400,000,000 pixels"):
        assert all("pixels" in outcome for outcome in both(REFUSED[name][0]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_of_a_file_with_flipped_bytes_both_make_the_same_or_refuse_it_alike(kind):
    rng, data = np.random.default_rng(0), np.frombuffer(encoded(COLOURS, kind), np.uint8)
    outcomes = []
    for _ in range(60):
        flipped = data.copy()
        flipped[rng.integers(len(data), size=3)] ^= rng.integers(1, 256, 3).astype(np.uint8)
        outcomes.append(both(flipped.tobytes()))
        assert alike(*outcomes[-1])
    assert {isinstance(a, str) for a, _ in outcomes} == {True, False}


@pytest.mark.parametrize("decoder", ["pillow", "cv2"])
@pytest.mark.parametrize("name", ["PNG of 400,000,000 pixels", "TIFF of real numbers", "nothing"])
def test_a_photograph_that_cannot_be_read_is_refused_with_the_name_of_its_record(
    tmp_path, monkeypatch, name, decoder
):
    class Records:
        name, folder, split = "imagenet2012", tmp_path, "train"

        def __call__(self, index):
            return [dict(image=REFUSED[name][0], label=0, file_name=b"n\xff7.JPEG")] * len(index)

    if decoder == "cv2":
        pytest.importorskip("cv2")
    cuts = (8, (8, 8), False, (), (), 8, decoder, 0)
    read = photographs.Photographs(Records(), 10, *cuts)
    with pytest.raises(files.DataError, match=r"record 7 of train \(n\ufffd7.JPEG\) cannot") as e:
        read(np.array([7]), None)
    assert str(tmp_path) in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_set_whose_images_are_not_of_8_bits_is_refused_by_every_scale(monkeypatch, dtype):
    arrays = files.split_arrays(image=(dtype, (8, 8)), label=("uint8", ()))
    odd = files.DataSet(arrays, classes=2, full=dict(train=4, test=4), sources=("files",))
    monkeypatch.setitem(files.SETS, "odd", odd)
    for scale in images.SCALES:
        with pytest.raises(ValueError, match=f"name: odd has images of {dtype}; scales are of u"):
            images.image_set("odd", test="test", scale=scale)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_channel_that_is_the_same_everywhere_becomes_0_under_standard(level):
    image = np.stack([np.full([2, 3, 4], level), np.arange(24).reshape(2, 3, 4)], -1)
    offset, factor, background = images.scaling("standard", image.astype(np.uint8))
    scaled = offset + factor * image
    np.testing.assert_allclose(scaled[..., 0], 0, atol=1e-6)
    np.testing.assert_allclose([scaled[..., 1].mean(), scaled[..., 1].std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(background, 0, atol=1e-6)
    assert factor[0] == np.float32(1 / 255)


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("PNG of 400,000,000 pixels", (40, 48, 3), "400000000 pixels"),
        ("PNG", (40, 48), "is [40, 48, 3], must be [40, 48]"),
        ("PNG", (48, 40, 3), "is [40, 48, 3], must be [48, 40, 3]"),
    ],
)
def test_an_image_of_a_small_set_that_is_too_large_or_of_another_kind_is_refused(name, shape, says):
    with pytest.raises(ValueError) as error:
        files._pixels((READ | REFUSED)[name][0], shape)
    assert says in str(error.value)


def test_a_grey_image_of_16_bits_in_a_small_set_has_the_upper_8():
    data, pixels = READ["PNG of 16 bits, grey"]
    for shape in ((40, 48), (40, 48, 1)):
        assert np.array_equal(files._pixels(data, shape), pixels[..., 0].reshape(shape))
