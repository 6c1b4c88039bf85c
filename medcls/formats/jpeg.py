"""Pixels of a JPEG by libjpeg-turbo, which reports damage; Pillow decodes to the same pixels but hides damage."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from medcls.formats.unreadable import UnreadableImage


def read_jpeg(content: bytes, mode: str) -> NDArray[np.uint8] | None:
    """Pixels (height, width) for mode L, the stored luminance of a color JPEG, or (height, width, 3) for RGB.

    None for a color subsampling that libjpeg-turbo has no name for: Pillow reads it. Raises UnreadableImage for pixels
    that are missing or damaged.
    """
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content, colorspace="GRAY" if mode == "L" else "RGB", strict=True
        )
    except ValueError as error:
        if "subsampling" in str(error):
            return None
        if "premature end" in str(error):
            raise UnreadableImage(f"truncated after {len(content):,} bytes") from error
        raise UnreadableImage(f"damaged ({error})") from error
    return np.squeeze(pixels, axis=2) if mode == "L" else pixels
