"""What Pillow reads of image files, and Pillow while it does: without its limit on pixels, and without warnings."""

import io
import threading
import warnings
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcls.formats.budget import Admission
from medcls.formats.gray import Gray, between_percentiles
from medcls.formats.jpeg import read_jpeg
from medcls.formats.kinds import PILLOW_FORMATS
from medcls.formats.surplus import check_surplus
from medcls.formats.unreadable import UnreadableImage
from medcls.formats.whole import check_png_pixels

_EXIF_ORIENTATION = 0x0112
_BYTE_MODES = ("1", "L", "P")  # of one byte a pixel in memory; other modes take four, gray of 16 bits once it is scaled


def read_with_pillow(content: bytes, mode: str, admit: Admission) -> tuple[Image.Image | Gray, int]:
    """The image as stored, or Gray for more than 8 bits; and its EXIF orientation, 1 (upright) if absent or illegible.

    mode: L or RGB, the one that the image will be converted to: the gray of a color JPEG is its stored luminance.
    Raises UnreadableImage for an animation and what ``admit`` refuses; other exceptions for a damaged file.
    """
    image = Image.open(io.BytesIO(content), formats=PILLOW_FORMATS)
    admit(image.width, image.height, 1 if image.mode in _BYTE_MODES and mode == "L" else 4)
    if image.format in ("GIF", "WEBP", "PNG") and (frames := getattr(image, "n_frames", 1)) > 1:
        raise UnreadableImage(f"an animation of {frames:,} images; write each to a file of its own")
    if image.format == "PNG":
        check_png_pixels(content)
    if image.format in ("BMP", "PPM"):
        check_surplus(image, content)
    orientation = _orientation(image)
    # MPO is a JPEG that others follow, as cameras append previews: the first is the image.
    if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
        pixels = read_jpeg(content, "L" if image.mode == "L" else mode)
        if pixels is not None:
            return Image.fromarray(pixels), orientation
    # Not at half its size or less, which libjpeg offers: at sharp edges the shrunk image would then be off by up to
    # 9 levels in photographs, and by up to 30 in drawings.
    image.draft(mode, None)
    image.load()
    if not image.mode.startswith(("I", "F")):
        return image, orientation
    values = np.asarray(image)
    level = image.info.get("transparency")
    return _without(values, level) if isinstance(level, int) else Gray(values), orientation


def _without(values: NDArray[Any], level: int) -> Gray:
    """Gray that is black where it has the one level that a PNG calls transparent."""
    opaque = values != level
    return Gray(values, lambda floats: between_percentiles(floats, opaque) * opaque)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # the pixels are good nevertheless
        return 1


class _Reading:
    """One change of Pillow's limit and of the warning filters for all threads inside: first in, last out.

    Both are state of the whole process, so that two scopes that overlap would leave the change in place for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.simplefilter("ignore")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._catch.__exit__(None, None, None)


reading = _Reading()
