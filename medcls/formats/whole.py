"""Whether a JPEG or PNG file is whole and of a kind that can be read, by its structure alone, before it is decoded."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from medcls.formats.unreadable import UnreadableImage

MOST_SCANS = 100  # a progressive JPEG has about ten; each is a pass over all pixels, for a few bytes of a crafted file

# A marker that ends a run of pixel data or starts a segment of known length: not a stuffed zero, restart, TEM or SOI.
_JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])", re.DOTALL)
_NO_FRAME = (0xC4, 0xC8, 0xCC)  # tables among the markers of frames

# Chunks that make the image, each but IDAT at most once, in this order.
_PNG_ORDER = {b"IHDR": 0, b"PLTE": 1, b"tRNS": 2, b"IDAT": 3, b"IEND": 4}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by type of color
_PNG_TRANSPARENT = {0: (2,), 2: (6,), 3: range(257), 4: (), 6: ()}  # bytes of tRNS
# Left, top and steps to the right and down of the seven images that make an interlaced one.
_PNG_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


class JpegFrame(NamedTuple):
    """What the frame header of a JPEG or JPEG-LS stream says; all zeros without one. ``bits``: of a sample."""

    marker: int = 0
    bits: int = 0
    width: int = 0
    height: int = 0
    components: int = 0


def jpeg_frame(stream: bytes) -> JpegFrame:
    """The frame header of a JPEG or JPEG-LS stream."""
    position = 2
    while position + 10 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME) or marker == 0xF7:
            height, width = (int.from_bytes(stream[position + at : position + at + 2], "big") for at in (5, 7))
            return JpegFrame(marker, stream[position + 4], width, height, stream[position + 9])
        position += 1 if marker == 0xFF else 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    return JpegFrame()


def check_jpeg(content: bytes) -> None:
    """Raise UnreadableImage for a JPEG without its end, of too many passes, or of a kind that Pillow cannot read.

    Pillow by itself accepts a JPEG whose missing part was filled with zeros, as an interrupted copy leaves it.
    """
    if not _jpeg_has_end(content):
        raise truncated(content)
    if (scans := content.count(b"\xff\xda")) > MOST_SCANS:
        raise UnreadableImage(f"{scans:,} passes over the pixels, expected {MOST_SCANS} at most")
    frame = jpeg_frame(content)
    if frame.marker == 0xF7:
        raise UnreadableImage("a JPEG-LS file; save it as PNG")
    if frame.marker and (frame.bits != 8 or frame.marker == 0xC3):
        kind = "lossless JPEG" if frame.marker == 0xC3 else "JPEG"
        raise UnreadableImage(f"{kind} of {frame.bits} bits a sample; save it as PNG or TIFF")
    if frame.marker and frame.components not in (1, 3, 4):
        raise UnreadableImage(f"JPEG of {frame.components} components, expected 1, 3 or 4")


def check_png(content: bytes) -> None:
    """Raise UnreadableImage for a PNG without its end, or with chunks that are damaged, misplaced or unknown.

    Pillow by itself checks the checksums of the first chunks only, and accepts others wherever they are.
    """
    kinds: list[bytes] = []
    for kind, data, checksum, end in _png_chunks(content):
        name = f"{kind.decode('latin-1')!r} before byte {end:,}"
        # Upper case: a chunk that the image cannot be shown without.
        if kind[:1].isupper() and zlib.crc32(data, zlib.crc32(kind)) != checksum:
            raise UnreadableImage(f"damaged (wrong checksum of {name})")
        if kind[:1].isupper() and kind not in _PNG_ORDER:
            raise UnreadableImage(f"a PNG with a critical chunk that is not known here, {name}")
        once = kind in kinds and kind != b"IDAT"
        late = kind in _PNG_ORDER and any(_PNG_ORDER[kind] < _PNG_ORDER.get(before, 0) for before in kinds[-1:])
        if once or late or (not kinds and kind != b"IHDR"):
            raise UnreadableImage(f"damaged (misplaced {name})")
        if kind == b"IHDR":
            _check_png_header(bytes(data))
            colour = data[9]
        if (kind == b"PLTE" and len(data) not in range(3, 769, 3)) or (
            kind == b"tRNS" and len(data) not in _PNG_TRANSPARENT[colour]
        ):
            raise UnreadableImage(f"damaged ({len(data):,} bytes in {name})")
        if kind == b"IEND":
            return
        if kind == b"IDAT" and colour == 3 and b"PLTE" not in kinds:
            raise UnreadableImage("damaged (a palette is missing)")
        if kind in _PNG_ORDER:
            kinds.append(kind)
    raise truncated(content)


def _check_png_header(header: bytes) -> None:
    if len(header) != 13 or header[9] not in _PNG_CHANNELS or header[10:12] != bytes(2) or header[12] > 1:
        raise UnreadableImage(f"damaged (header {header.hex()})")
    if header[8:10] == b"\x10\4":  # of which Pillow reads the high bytes, too few levels for the rule of gray
        raise UnreadableImage("PNG of gray with alpha of 16 bits is not supported; save it as gray without alpha")


def check_png_pixels(content: bytes) -> None:
    """Raise UnreadableImage unless the compressed pixels are as many as the header says, with a right checksum.

    Pillow leaves rows that are missing black, and stops before the checksum.
    """
    inflate, found = zlib.decompressobj(), 0
    for kind, data, _, _ in _png_chunks(content):
        if kind == b"IHDR":
            expected = _png_bytes(bytes(data))
        if kind == b"IDAT":
            for start in range(0, len(data), 2**14):  # each becomes 16 MB at most
                found += len(inflate.decompress(data[start : start + 2**14]))
    if found > expected:
        raise UnreadableImage(f"damaged ({found:,} bytes of pixels, the header says {expected:,})")
    if found < expected or not inflate.eof:
        raise UnreadableImage(f"truncated ({found:,} of {expected:,} bytes of pixels)")


def _png_bytes(header: bytes) -> int:
    """Size of the pixels before they were compressed."""
    width, height, bits, colour, interlaced = struct.unpack(">IIBBxxB", header)
    size = 0
    for left, top, right, down in _PNG_PASSES if interlaced else [(0, 0, 1, 1)]:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        size += max(rows, 0) * (1 + -(-columns * bits * _PNG_CHANNELS[colour] // 8)) if columns > 0 else 0
    return size


def truncated(content: bytes) -> UnreadableImage:
    """The error for a file that ends too early, or in zeros that an interrupted copy left."""
    return UnreadableImage(f"truncated after {len(content.rstrip(bytes(1))):,} bytes")


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


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, int, int]]:
    """Kind, data, checksum and end of each chunk that is there as a whole."""
    view, position = memoryview(content), 8
    while position + 12 <= len(content):
        size = int.from_bytes(content[position : position + 4], "big")
        end = position + 12 + size
        if end > len(content):
            return
        yield (
            content[position + 4 : position + 8],
            view[position + 8 : end - 4],
            int.from_bytes(content[end - 4 : end], "big"),
            end,
        )
        position = end
