"""Bytes of an image file in, a small uint8 array out; content that is not a whole image is refused, with a reason."""

from importlib.metadata import version

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from medcls.formats.budget import Admission
from medcls.formats.gray import Gray, Window
from medcls.formats.kinds import foreign_kind, is_dicom, pillow_format
from medcls.formats.pillow import read_with_pillow, reading
from medcls.formats.unreadable import UnreadableImage
from medcls.formats.whole import check_jpeg, check_png

__all__ = ["DECODER", "MAX_PIXELS", "UnreadableImage", "decode"]

# Whatever can change a decoded pixel; part of the key of the cache.
_LIBRARIES = ("simplejpeg", "pydicom", "tifffile", "imagecodecs")
DECODER = f"4, Pillow {PIL.__version__}, " + ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
MAX_PIXELS = 100_000_000
LONGEST_REASON = 120  # characters; some parsers are verbose

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    content: bytes, *, image_size: int, channels: int, max_pixels: int = MAX_PIXELS, window: Window = "file"
) -> NDArray[np.uint8]:
    """Image (image_size, image_size, channels), values 0..255, from the bytes of an image file (see docs/pixels.md).

    channels: 1 for gray (ITU-R 601), 3 for RGB. Turned upright by its EXIF tag, laid on black where transparent,
    shrunk with anti-aliasing, its aspect ratio not kept. Gray of more than 8 bits is mapped to 0..255 between its own
    percentiles 0.5 and 99.5; that of DICOM by ``window`` (see ``read_dicom``).
    May be called from several threads at once, of which large images then wait for each other.
    Raises UnreadableImage when the content is truncated, damaged, several images, larger than ``max_pixels`` of 4 bytes
    or not a readable image.
    """
    mode = "L" if channels == 1 else "RGB"
    try:
        with reading, Admission(max_pixels) as admit:
            image, orientation = read(content, mode, admit, window)
            plain = Image.fromarray(image.shown()) if isinstance(image, Gray) else _plain(image, mode)
            del image
            return _shrunk(plain, image_size, mode, _UPRIGHT.get(orientation))
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("needs more memory than there is", lasting=False) from error
    except UnidentifiedImageError as error:
        raise UnreadableImage("damaged header") from error
    # A damaged file leads parsers to nearly any exception: OSError, SyntaxError, struct.error, KeyError, ...
    except Exception as error:
        if any(words in str(error).lower() for words in ("truncated", "less than expected", "not enough image data")):
            raise UnreadableImage(f"truncated after {len(content):,} bytes") from error
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableImage(f"damaged ({reason[:LONGEST_REASON]})") from error


def read(content: bytes, mode: str, admit: Admission, window: Window) -> tuple[Image.Image | Gray, int]:
    """The image at full size, before it is scaled to 8 bits, converted or turned upright; and its EXIF orientation.

    mode: L or RGB, the one that it will be converted to. Raises UnreadableImage; other exceptions for a damaged file.
    """
    if not content:
        raise UnreadableImage("empty file")
    # Imported where they are needed: pydicom takes a third of a second, which a folder of PNG files should not cost.
    if is_dicom(content):
        from medcls.formats.dicom import read_dicom

        return read_dicom(content, admit=admit, window=window), 1
    kind = pillow_format(content)
    if kind is None:
        raise UnreadableImage(f"not an image ({foreign_kind(content)})")
    if kind == "JPEG":
        check_jpeg(content)
    if kind == "PNG":
        check_png(content)
    if kind != "TIFF":
        return read_with_pillow(content, mode, admit)
    from medcls.formats.tiff import read_tiff

    image, orientation, words = read_tiff(content, admit)
    if image is not None:
        return image, orientation
    try:
        return read_with_pillow(content, mode, admit)
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"{words} is not supported; save it as gray or RGB of 8 bits") from error


def _shrunk(image: Image.Image, image_size: int, mode: str, turn: Image.Transpose | None) -> NDArray[np.uint8]:
    """Pixels (image_size, image_size, channels) of an image in ``mode`` or F."""
    image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    if turn is not None:  # after the resize: the target is square
        image = image.transpose(turn)
    pixels: NDArray[np.uint8] = np.rint(np.asarray(image)).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = np.stack([pixels] * (1 if mode == "L" else 3), axis=2)
    return pixels


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The image in ``mode`` (L or RGB), on black where it is transparent."""
    if image.has_transparency_data:
        # No copy of what is RGBA already: for a large image, each counts.
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), rgba)
        del rgba
    return image if image.mode == mode else image.convert(mode)
