"""Bytes of an image file in, a small uint8 array out; content that is not a whole image is refused, with a reason."""

import io
import re
from importlib.metadata import version

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from medcls.sources.formats import PILLOW_FORMATS, is_dicom, pillow_format
from medcls.sources.gray import Window, between_percentiles
from medcls.sources.pillow import reading
from medcls.sources.unreadable import UnreadableImage

__all__ = ["DECODER", "MAX_PIXELS", "UnreadableImage", "decode"]

# Whatever can change a decoded pixel; part of the key of the cache.
DECODER = f"1, Pillow {PIL.__version__}, pydicom {version('pydicom')}"
MAX_PIXELS = 100_000_000
MOST_SCANS = 100  # a progressive JPEG has about ten; each is a pass over all pixels, for a few bytes of a doctored file
LONGEST_REASON = 120  # characters; some parsers tell a story

_FOREIGN = {b"%PDF": "a PDF", b"GIF8": "a GIF", b"RIFF": "a RIFF file, such as WebP", b"PK": "a zip archive"}
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG_END = b"IEND\xaeB`\x82"
# A marker that ends a run of pixel data or starts a segment of known length: not a stuffed zero, restart, TEM or SOI.
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])", re.DOTALL)


def decode(
    content: bytes, *, image_size: int, channels: int, max_pixels: int = MAX_PIXELS, window: Window = "file"
) -> NDArray[np.uint8]:
    """Image (image_size, image_size, channels), values 0..255, from the bytes of a JPEG, PNG, TIFF, BMP or DICOM file.

    channels: 1 for gray (ITU-R 601), 3 for RGB. Turned upright after its EXIF tag, laid on black where transparent,
    shrunk with anti-aliasing, its aspect ratio not kept; of several pages the first. Gray of more than 8 bits is
    mapped to 0..255 between its own percentiles 0.5 and 99.5; that of DICOM by ``window`` (see ``read_dicom``).
    May be called from several threads at once.
    Raises UnreadableImage when the content is truncated, damaged, larger than ``max_pixels`` or not an image.
    """
    _check_whole(content)
    mode = "L" if channels == 1 else "RGB"
    try:
        with reading:
            if is_dicom(content):
                # Imported here: pydicom takes a third of a second, which a folder of PNG files should not cost.
                from medcls.sources.dicom import read_dicom

                image = read_dicom(content, max_pixels=max_pixels, window=window)
                return _shrunk(image if image.mode == "F" else _plain(image, mode), image_size, mode)
            return _decode(content, image_size, mode, max_pixels)
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("needs more memory than there is", lasting=False) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage("damaged header") from error
    # A damaged file leads parsers to nearly any exception: OSError, SyntaxError, struct.error, KeyError, ...
    except Exception as error:
        if "truncated" in str(error).lower() or "less than expected" in str(error):
            raise UnreadableImage(f"truncated after {len(content):,} bytes") from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableImage(f"damaged ({reason[:LONGEST_REASON]})") from error


def _check_whole(content: bytes) -> None:
    """Raise UnreadableImage for what is not an image at all, and for a JPEG or PNG without its end.

    Pillow by itself accepts a JPEG whose missing part was filled with zeros, as an interrupted copy leaves it.
    """
    if not content:
        raise UnreadableImage("empty file")
    if is_dicom(content):
        return
    kind = pillow_format(content)
    if kind is None:
        foreign = next((kind for magic, kind in _FOREIGN.items() if content.startswith(magic)), None)
        raise UnreadableImage(f"not an image ({foreign or 'begins with ' + repr(content[:8])[1:]})")
    if (kind == "JPEG" and not _jpeg_has_end(content)) or (kind == "PNG" and _PNG_END not in content):
        raise UnreadableImage(f"truncated after {len(content.rstrip(bytes(1))):,} bytes")
    if kind == "JPEG" and (scans := content.count(b"\xff\xda")) > MOST_SCANS:
        raise UnreadableImage(f"{scans:,} passes over the pixels, expected {MOST_SCANS} at most")


def _jpeg_has_end(content: bytes) -> bool:
    if content.endswith(b"\xff\xd9"):
        return True
    # Something follows the image, or its end is missing. A preview inside a header segment has an end of its own.
    position = 2
    while marker := _JPEG_MARKER.search(content, position):
        if marker[1] == b"\xd9":
            return True
        position = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    return False


def _decode(content: bytes, image_size: int, mode: str, max_pixels: int) -> NDArray[np.uint8]:
    image: Image.Image = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS)
    if image.width * image.height > max_pixels:
        found = f"{image.width:,} x {image.height:,}"
        raise UnreadableImage(f"too many pixels, {found} (data.max_pixels={max_pixels:,})", lasting=False)
    # A JPEG can be decoded at 1/2, 1/4 or 1/8, each pixel the mean of its block: most of the time of a large
    # radiograph is saved. Twice the target at least, so that what is left is still shrunk with anti-aliasing.
    draft = image.draft(mode, (2 * image_size, 2 * image_size))
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    return _shrunk(_plain(image, mode), image_size, mode, draft[1] if draft else None, turn)


def _shrunk(
    image: Image.Image,
    image_size: int,
    mode: str,
    box: tuple[float, float, float, float] | None = None,
    turn: Image.Transpose | None = None,
) -> NDArray[np.uint8]:
    """Pixels (image_size, image_size, channels) of an image in ``mode`` or F.

    box: leaves out the padding in the last row and column of a size that the draft's scale does not divide.
    """
    image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)
    if turn is not None:  # after the resize: the target is square
        image = image.transpose(turn)
    pixels: NDArray[np.uint8] = np.rint(np.asarray(image)).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * (1 if mode == "L" else 3), axis=2)
    return pixels


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 (upright) when absent or illegible, since the pixels are then still good."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The image in ``mode`` (L or RGB), or in F with values in 0..255 for gray of more than 8 bits."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(between_percentiles(np.asarray(image).astype(np.float32)))
    if image.has_transparency_data:
        opaque_black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(opaque_black, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
