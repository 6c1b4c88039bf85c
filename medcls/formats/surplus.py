"""Whether a BMP or Netpbm file holds more pixels than its header says, of which only a part would be shown."""

import re
import struct

import numpy as np
from PIL import ImageFile

from medcls.formats.unreadable import UnreadableImage


def check_surplus(image: ImageFile.ImageFile, content: bytes) -> None:
    """Raise UnreadableImage where pixels, or another image, follow the ``image`` of ``content``, opened but not loaded.

    Less than a row may follow the pixels of BMP, which some programs pad, and a line end those of Netpbm. Run lengths
    of BMP are not checked.
    """
    decoder, _, offset, options = image.tile[0]
    row: int
    if image.format == "BMP":
        if decoder != "raw":
            return
        assert isinstance(options, tuple)
        row = slack = options[1]
        found = len(content) - offset - _size_of_profile(content)
    elif decoder == "ppm_plain":
        row, slack, found = image.width * len(image.getbands()), 1, _numbers(content, offset)
    else:
        deep = image.mode == "I" or (isinstance(options, tuple) and options[1] > 255)
        row = -(-image.width // 8) if image.mode == "1" else image.width * len(image.getbands()) * (1 + deep)
        end = offset + row * image.height
        slack, found = 3 if content[end:].isspace() else 1, len(content) - offset
    if found >= row * image.height + slack:
        what = "numbers" if decoder == "ppm_plain" else "bytes of pixels"
        said = f"{found:,} {what}, the header says {row * image.height:,}"
        raise UnreadableImage(f"damaged, or several images ({said})")


def _size_of_profile(content: bytes) -> int:
    """Bytes of the color profile that may follow the pixels of a BMP with the longest header."""
    header, space, size = struct.unpack_from("<I52x4s56xI", content.ljust(134, b"\0"), 14)
    return int(size) if (header, space) == (124, b"DEBM") else 0


def _numbers(content: bytes, offset: int) -> int:
    """Number of samples of a Netpbm file that is written in digits."""
    body = re.sub(rb"#[^\r\n]*", b"", content[offset:])
    if content[:2] == b"P1":
        return body.count(b"0") + body.count(b"1")  # which need no space between them
    space = np.isin(np.frombuffer(b" " + body, np.uint8), np.frombuffer(b" \t\n\v\f\r", np.uint8))
    return int(np.count_nonzero(space[:-1] & ~space[1:]))
