import contextlib
import functools
import io
import random
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont, ImageOps

from medcls.formats.decode import UnreadableImage, decode


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def smooth(height=1400, width=1100):
    """RGB image of slow waves, with every gray level."""
    y, x = np.mgrid[:height, :width] / height
    waves = [np.sin(9 * x + 4 * y), np.cos(7 * x * y), np.sin(3 * x - 8 * y)]
    return Image.fromarray(np.uint8(127.5 + 127 * np.stack(waves, 2)))


@functools.cache
def encoded_smooth(kind):
    return encoded(smooth(), kind)


def noisy(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("image_size", [64, 200, 900])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_shrunk_image_is_the_area_average_within_two_gray_levels(kind, channels, image_size):
    content = encoded_smooth(kind)
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    full = cv2.imdecode(np.frombuffer(content, np.uint8), flag)
    expected = cv2.resize(full, (image_size, image_size), interpolation=cv2.INTER_AREA)
    ours = decode(content, image_size=image_size, channels=channels)
    assert ours.shape == (image_size, image_size, channels)
    assert ours.dtype == np.uint8
    away = np.abs(ours.astype(int) - expected.reshape(ours.shape))
    assert away[2:-2, 2:-2].max() <= 2
    assert away.max() <= 4  # at the edge the two filters see other neighbours


def hostile(kind):
    """Drawings of sharp edges in full contrast, as letters and markers on a radiograph are."""
    rng = np.random.default_rng(4)
    if kind == "blocks in colour":
        return Image.fromarray((rng.integers(0, 2, (100, 80, 3), np.uint8) * 255).repeat(13, 0).repeat(13, 1))
    if kind == "dots":
        return Image.fromarray((rng.random((1300, 1040)) > 0.99).astype(np.uint8) * 255)
    image = Image.new("L", (1040, 1300), 255)
    for x, y, size in zip(
        rng.integers(900, size=40), rng.integers(1200, size=40), rng.integers(12, 90, 40), strict=True
    ):
        ImageDraw.Draw(image).text((x, y), "R PORTABLE", fill=0, font=ImageFont.load_default(int(size)))
    return image


@pytest.mark.parametrize(
    "image_size", [64, 224, *(pytest.param(size, marks=pytest.mark.slow) for size in (28, 128, 500))]
)
@pytest.mark.parametrize("kind", ["blocks in colour", "dots", "letters"])
def test_large_jpeg_is_within_three_levels_of_its_pixels_at_full_size(kind, image_size):
    content = encoded(hostile(kind), "JPEG", quality=75)
    full = encoded(Image.open(io.BytesIO(content)), "PNG")
    ours = decode(content, image_size=image_size, channels=3).astype(int)
    assert np.abs(ours - decode(full, image_size=image_size, channels=3)).max() <= 3


def independent(content, channels):
    """Pixels (H, W, channels) as OpenCV's own readers see them."""
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    return cv2.imdecode(np.frombuffer(content, np.uint8), flag).reshape(96, 96, channels)


@pytest.mark.parametrize(
    ("mode", "kind", "options", "away"),
    [
        ("RGB", "PNG", {}, 0),
        ("L", "PNG", {}, 0),
        ("P", "PNG", {}, 0),
        ("RGB", "BMP", {}, 0),
        ("P", "BMP", {}, 0),
        ("RGB", "TIFF", {}, 0),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}, 0),
        ("L", "TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("L", "TIFF", {"compression": "packbits"}, 0),
        ("RGB", "JPEG", {"quality": 90, "subsampling": 0}, 2),  # the standard leaves the last bit to the decoder
        ("L", "JPEG", {"quality": 90}, 2),
        ("RGB", "JPEG", {"quality": 90, "progressive": True}, 6),  # and how coarser colours are spread
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_at_full_size_are_those_of_an_independent_reader(mode, kind, options, away, channels):
    image = smooth(96, 96).convert(mode) if mode != "P" else smooth(96, 96).quantize(64)
    content = encoded(image, kind, **options)
    ours = decode(content, image_size=96, channels=channels)
    gray_from_colour = channels == 1 and mode != "L"  # rounded otherwise, or computed from a JPEG's own luminance
    away = max(away, gray_from_colour)
    assert np.abs(ours.astype(int) - independent(content, channels)).max() <= away


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_those_of_an_independent_reader(kind):
    rng = np.random.default_rng(2)
    content = encoded(Image.fromarray(rng.integers(900, 40_000, (96, 96)).astype(np.uint16)), kind)
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    low, high = np.percentile(values, (0.5, 99.5))
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    assert np.abs(decode(content, image_size=96, channels=1)[..., 0] - expected).max() <= 0.51


def test_fine_stripes_become_even_gray_and_not_moire():
    stripes = np.zeros((1000, 1000), np.uint8)
    stripes[:, ::2] = 200
    shrunk = decode(encoded(Image.fromarray(stripes), "PNG"), image_size=90, channels=1)
    assert np.abs(shrunk[:, 2:-2].astype(int) - 100).max() <= 4


def test_gray_is_itu_r_601():
    for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (12, 200, 90)]:
        gray = decode(encoded(Image.new("RGB", (20, 20), colour), "PNG"), image_size=10, channels=1)
        assert abs(int(gray[5, 5, 0]) - np.dot(colour, (0.299, 0.587, 0.114))) <= 0.51


@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_upright_after_its_exif_tag(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(smooth(600, 400), "JPEG", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    expected = decode(encoded(upright, "PNG"), image_size=64, channels=3)
    assert np.abs(decode(content, image_size=64, channels=3).astype(int) - expected).max() <= 3


GRAY = Image.fromarray(np.repeat(np.uint8([[0, 80, 160, 240]]), 4, 0).repeat(8, 0).repeat(8, 1))
MASKED = [0, 80, 0, 240]  # on black where the third column is transparent


def with_alpha(mode):
    image = GRAY.convert(mode)
    image.putalpha(Image.fromarray(np.where(np.asarray(GRAY) == 160, 0, 255).astype(np.uint8)))
    return image


def palette():
    return GRAY.convert("RGB").quantize(4)


@pytest.mark.parametrize(
    ("image", "kind", "options", "levels"),
    [
        (GRAY, "BMP", {}, [0, 80, 160, 240]),
        (GRAY, "TIFF", {"compression": "tiff_lzw"}, [0, 80, 160, 240]),
        (palette(), "PNG", {}, [0, 80, 160, 240]),
        (palette(), "PNG", {"transparency": palette().getpixel((20, 0))}, MASKED),
        (with_alpha("L"), "PNG", {}, MASKED),
        (with_alpha("RGB"), "PNG", {}, MASKED),
        (with_alpha("RGB"), "TIFF", {}, MASKED),
        (GRAY.convert("RGB").convert("CMYK"), "TIFF", {}, [0, 80, 160, 240]),
        (GRAY.convert("RGB").convert("CMYK"), "JPEG", {"quality": 100}, [0, 80, 160, 240]),
        (GRAY.point(lambda level: 255 * (level > 100)).convert("1"), "PNG", {}, [0, 0, 255, 255]),
        (GRAY.point(lambda level: 255 * (level > 100)).convert("1"), "TIFF", {}, [0, 0, 255, 255]),
        (Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 100), "PNG", {}, [0, 85, 170, 255]),
        (Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 10 + 7), "TIFF", {}, [0, 85, 170, 255]),
        (Image.fromarray(np.asarray(GRAY).astype(np.int32) * 1000 - 9), "TIFF", {}, [0, 85, 170, 255]),
        (Image.fromarray(np.asarray(GRAY).astype(np.float32) / 1e5), "TIFF", {}, [0, 85, 170, 255]),
    ],
    ids=lambda value: getattr(value, "mode", value if isinstance(value, str) else ""),
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_pixel_keeps_its_gray_level(image, kind, options, levels, channels):
    pixels = decode(encoded(image, kind, **options), image_size=16, channels=channels)
    middles = pixels[8, 2::4].astype(int)  # away from the steps between the four columns
    assert np.abs(middles - np.array(levels)[:, None]).max() <= 2


def test_sixteen_bit_gray_spans_its_percentiles():
    values = np.random.default_rng(1).normal(3000, 400, (300, 300)).clip(0, 65535).astype(np.uint16)
    values[0, :50] = 65535  # burnt-in text must not flatten the rest
    low, high = np.percentile(values, (0.5, 99.5))
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    pixels = decode(encoded(Image.fromarray(values), "PNG"), image_size=300, channels=1)
    assert np.abs(pixels[..., 0] - expected).max() <= 1


WHOLE = {
    "JPEG": encoded(noisy(700, 500), "JPEG"),
    "progressive JPEG": encoded(noisy(700, 500), "JPEG", progressive=True),
    "JPEG with preview": encoded(noisy(700, 500), "JPEG", exif=b"Exif\0\0" + encoded(noisy(40, 40), "JPEG")),
    "gray JPEG": encoded(noisy(700, 500).convert("L"), "JPEG"),
    "PNG": encoded(noisy(300, 200), "PNG"),
    "BMP": encoded(noisy(300, 200), "BMP"),
    "TIFF": encoded(noisy(300, 200), "TIFF"),
    "LZW TIFF": encoded(noisy(300, 200), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_file_is_refused_wherever_it_ends(kind):
    content = WHOLE[kind]
    decode(content, image_size=32, channels=1)
    ends = [*(int(len(content) * part) for part in (0.02, 0.3, 0.6, 0.9, 0.99)), len(content) - 200]
    if "TIFF" not in kind:  # whose last bytes may belong to no pixel
        ends += [len(content) - 20, len(content) - 1]
    for end in ends:
        for image_size in (32, 400):  # with and without the JPEG decoder's own shrinking
            with pytest.raises(UnreadableImage, match="truncated|damaged" if end < 5000 or "TIFF" in kind else "trunc"):
                decode(content[:end], image_size=image_size, channels=1)


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("rows", [5, 6, 8, 12, 24])
def test_tiff_whose_strips_are_of_other_rows_than_it_says_is_refused(planes, rows):
    file, pixels = io.BytesIO(), np.asarray(noisy(24, 24))
    order = pixels if planes == "contig" else np.moveaxis(pixels, 2, 0)
    tifffile.imwrite(file, order, photometric="rgb", planarconfig=planes, rowsperstrip=7, metadata=None)
    content = bytearray(file.getvalue())
    np.testing.assert_array_equal(decode(bytes(content), image_size=24, channels=3), pixels)
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        tag = tiff.pages.first.tags["RowsPerStrip"]
    struct.pack_into("<H" if tag.dtype == 3 else "<I", content, tag.valueoffset, rows)
    with pytest.raises(UnreadableImage, match=r"truncated|damaged"):
        decode(bytes(content), image_size=24, channels=3)


def test_jpeg_whose_end_an_interrupted_copy_left_zero_is_refused():
    content = WHOLE["JPEG"]
    half = len(content) // 2
    with pytest.raises(UnreadableImage, match="truncated after"):
        decode(content[:half] + bytes(len(content) - half), image_size=32, channels=1)


def test_jpeg_followed_by_other_data_is_read():
    content = WHOLE["JPEG with preview"]
    expected = decode(content, image_size=32, channels=3)
    for trailer in (b"\0" * 500, b"MAKER\xff\xda data" * 9):
        np.testing.assert_array_equal(decode(content + trailer, image_size=32, channels=3), expected)


def bomb():
    """PNG of a few bytes that claims 60,000 x 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + end


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html>login</html>", "not an image (begins with '<html>lo')"),
        (b"%PDF-1.7 ...", "not an image (a PDF)"),
        (b"II*\0 is how a TIFF begins", "damaged header"),
        (bomb(), "too many pixels, 60,000 x 60,000 (data.max_pixels=100,000,000)"),
    ],
)
def test_content_that_is_no_image_is_refused_with_its_reason(content, reason):
    with pytest.raises(UnreadableImage) as caught:
        decode(content, image_size=32, channels=1)
    assert caught.value.reason == reason


def test_jpeg_that_would_be_decoded_for_hours_is_refused():
    content = WHOLE["progressive JPEG"]
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(UnreadableImage, match="passes over the pixels, expected 100 at most"):
        decode(content[:-2] + last_scan * 200 + content[-2:], image_size=32, channels=1)


@pytest.mark.parametrize("kind", ["progressive JPEG", "PNG", "BMP", "LZW TIFF"])
def test_damaged_bytes_give_an_image_or_unreadable_and_nothing_else(kind):
    rng = random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(60):
            content = bytearray(WHOLE[kind])
            for _ in range(rng.choice((1, 5, 50))):
                content[int(len(content) * rng.random() ** 4)] = rng.randrange(256)  # mostly in the header
            with contextlib.suppress(UnreadableImage):
                assert decode(bytes(content), image_size=16, channels=1).shape == (16, 16, 1)


# Of 500 letters that are not there: Pillow warns.
CORRUPT_EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 1, 0x010E, 2, 500, 9999)


def test_threads_decode_alike_without_warnings_and_leave_pillow_and_the_warning_filters(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # Pillow refuses from twice as many pixels
    content = encoded(noisy(700, 500), "JPEG", exif=CORRUPT_EXIF)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(content))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200_000)
    with pytest.warns(UserWarning, match="EXIF"), pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(content)).getexif()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            images = list(pool.map(lambda _: decode(content, image_size=64, channels=1), range(64)))
        assert warnings.filters == before
    assert Image.MAX_IMAGE_PIXELS == 100_000
    assert leaked == []
    assert all(np.array_equal(image, images[0]) for image in images)
