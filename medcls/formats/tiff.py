"""A TIFF file's bytes in: whether it holds one whole image that can be shown; its samples where Pillow would not do."""

import contextlib
import io
import logging
import math
import struct
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tifffile import (
    COMPRESSION,
    DATATYPE,
    EXTRASAMPLE,
    PHOTOMETRIC,
    PLANARCONFIG,
    PREDICTOR,
    SAMPLEFORMAT,
    TIFF,
    TiffPage,
)

from medcls.formats.budget import Admission
from medcls.formats.gray import Gray
from medcls.formats.unreadable import UnreadableImage

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its messages about damage do not name the file

_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
_CHANNELS: dict[int, int] = {
    **dict.fromkeys((*_GRAY, PHOTOMETRIC.PALETTE), 1),
    **{PHOTOMETRIC.RGB: 3, PHOTOMETRIC.YCBCR: 3, PHOTOMETRIC.SEPARATED: 4},
}
# Left to Pillow, whose libtiff turns subsampled colors into RGB as a viewer does.
_JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG)
_FAX = (COMPRESSION.CCITTRLE, COMPRESSION.CCITT_T4, COMPRESSION.CCITT_T6)
# Compressions that may store differences between neighbors (a predictor); readers disagree about others.
_PREDICTED = (COMPRESSION.LZW, COMPRESSION.ADOBE_DEFLATE, COMPRESSION.DEFLATE, COMPRESSION.ZSTD, COMPRESSION.LZMA)
# Size, bits, compression, colors, order of bits, strips, channels, planes, predictor, tiles, alpha, kind of number.
_TAGS = (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 322, 323, 324, 325, 338, 339)
_SEVERAL = (258, 273, 279, 324, 325, 338, 339)
_NEEDED = (256, 257, 259, 262)
_INTEGERS = (DATATYPE.BYTE, DATATYPE.SHORT, DATATYPE.LONG, DATATYPE.LONG8)
_USUAL_PIECES = 20_000  # strips or tiles, each of which costs time; more are allowed with more pixels
_KINDS: dict[int, str] = {SAMPLEFORMAT.UINT: "", SAMPLEFORMAT.INT: "signed ", SAMPLEFORMAT.IEEEFP: "floating-point "}


def read_tiff(content: bytes, admit: Admission) -> tuple[Gray | Image.Image | None, int, str]:
    """The image, or None where Pillow reads it correctly; its orientation; what it is, in words.

    Raises UnreadableImage for several images, strips or tiles that are missing or reach past the end, samples or
    colors that cannot be shown, and what ``admit`` refuses; other exceptions for a damaged file.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        try:
            page = file.pages.first
        except IndexError as error:
            raise UnreadableImage("damaged header") from error
        assert isinstance(page, TiffPage)
        _check_tags(file, page)
        _check_one_image(file, page)
        _check_pieces(page, len(content), admit.max_pixels)
        kind = _kind(page)
        _check_kind(page, kind)
        if page.compression == COMPRESSION.LZW and page.fillorder == 1:
            _check_lzw(file, page)
        return _image(page, admit), int(page.tags.valueof(274, 1)), kind


def _image(page: TiffPage, admit: Admission) -> Gray | Image.Image | None:
    bits, photometric = page.bitspersample, page.photometric
    if page.compression in (*_JPEG, *_FAX) or photometric == PHOTOMETRIC.YCBCR:
        return None
    deep = photometric in _GRAY and (bits > 8 or page.sampleformat != SAMPLEFORMAT.UINT)
    admit(page.imagewidth, page.imagelength, max(4 if deep else 1, page.samplesperpixel * -(-bits // 8)))
    samples = page.asarray(maxworkers=1)
    if page.samplesperpixel > 1 and page.planarconfig == PLANARCONFIG.SEPARATE:
        samples = np.moveaxis(samples, 0, -1)
    inverted = photometric == PHOTOMETRIC.MINISWHITE
    if deep:
        return Gray(samples, inverted=inverted)
    if photometric in _GRAY:
        levels = _opaque(page, samples, 1).astype(np.uint8) * np.uint8(255 // (2**bits - 1))
        return Image.fromarray(255 - levels if inverted else levels)
    if photometric == PHOTOMETRIC.PALETTE:
        if page.colormap is None:
            raise UnreadableImage("damaged (a palette is missing)")
        image = Image.fromarray(samples.astype(np.uint8))
        image.putpalette((page.colormap >> 8).astype(np.uint8).T.tobytes())
        return image
    colours = _opaque(page, samples, _CHANNELS[photometric])
    high = colours if bits == 8 else (colours >> 8).astype(np.uint8)
    # Pillow takes four channels for RGBA.
    return (
        Image.merge("CMYK", Image.fromarray(high).split())
        if photometric == PHOTOMETRIC.SEPARATED
        else Image.fromarray(high)
    )


def _opaque(page: TiffPage, samples: NDArray[Any], count: int) -> NDArray[Any]:
    """The first ``count`` channels, and the next where it is an alpha that these are not multiplied by already.

    The fourth channel of RGB counts as alpha where it is not named, as many programs write it.
    """
    if samples.ndim == 2:
        return samples
    named = page.extrasamples[:1]
    alpha = named == (EXTRASAMPLE.UNASSALPHA,) or (named == () and page.photometric == PHOTOMETRIC.RGB)
    chosen = samples[..., : count + alpha]
    return np.ascontiguousarray(chosen[..., 0] if chosen.shape[2] == 1 else chosen)


def _check_tags(file: tifffile.TiffFile, page: TiffPage) -> None:
    """Raise UnreadableImage for a tag that makes the image and is missing, or not one integer (or one a channel)."""
    head, form = file.tiff, file.tiff.byteorder + "H"
    file.filehandle.seek(page.offset)
    count = struct.unpack(head.tagnoformat, file.filehandle.read(head.tagnosize))[0]
    table = file.filehandle.read(count * head.tagsize)
    # tifffile leaves out what it cannot parse, and takes a default for it.
    written = {struct.unpack_from(form, table, at)[0] for at in range(0, len(table), head.tagsize)}
    for code in _TAGS:
        tag = page.tags.get(code)
        if tag is None and (code in written or code in _NEEDED):
            raise UnreadableImage(f"damaged (tag {TIFF.TAGS[code]} is missing or illegible)")
        one = code not in _SEVERAL or (code in (258, 339) and tag is not None and tag.count != page.samplesperpixel)
        if tag is not None and (tag.dtype not in _INTEGERS[: 3 + file.is_bigtiff] or (one and tag.count != 1)):
            raise UnreadableImage(f"damaged (tag {tag.name} of type {tag.dtype}, {tag.count:,} values)")


def _check_lzw(file: tifffile.TiffFile, page: TiffPage) -> None:
    """Raise UnreadableImage where the decoded pixels depend on what follows a strip: its last code is cut off."""
    size = math.prod(page.chunks) * -(-page.bitspersample // 8)
    pieces: Any = file.filehandle.read_segments(page.dataoffsets, page.databytecounts)
    for data, _ in pieces:
        ends = [imagecodecs.lzw_decode((data or b"") + more, out=size) for more in (b"", b"\xff" * 3)]
        if ends[0] != ends[1]:
            raise UnreadableImage("truncated (a strip or tile ends within a code)")


def _check_one_image(file: tifffile.TiffFile, page: TiffPage) -> None:
    """Raise UnreadableImage for a stack, a series or a thumbnail; only thumbnails and masks may follow the image."""
    if page.imagedepth != 1 or page.imagewidth < 1 or page.imagelength < 1:
        raise UnreadableImage(f"damaged (a size of {page.imagewidth} x {page.imagelength} x {page.imagedepth})")
    more = 1
    with contextlib.suppress(IndexError):  # not by their number, which tifffile would have to read them all for
        while (later := file.pages[more].aspage()).is_reduced or later.is_mask:
            more += 1
        raise UnreadableImage("a TIFF file of several images; write each to a file of its own")
    if page.is_reduced and (more > 1 or page.subifds):
        raise UnreadableImage("a TIFF file that begins with a thumbnail; write the image itself to a file of its own")
    of_imagej = file.is_imagej and (file.imagej_metadata or {}).get("images", 1) != 1
    if of_imagej or (page.is_shaped and '"truncated": true' in page.description):  # more pixels behind one directory
        raise UnreadableImage("a TIFF file of several images in one; write each to a file of its own")


def _check_pieces(page: TiffPage, size: int, max_pixels: int) -> None:
    """Raise UnreadableImage unless each strip or tile that the image is made of is in the file."""
    expected, found = math.prod(page.chunked), len(page.dataoffsets)
    most = max(_USUAL_PIECES, max_pixels // 1000)
    if found > most:
        raise UnreadableImage(f"{found:,} strips or tiles, more than {most:,} (data.max_pixels)", lasting=False)
    pieces = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:expected]
    if len(pieces) < expected:
        raise UnreadableImage(f"truncated ({len(pieces):,} of {expected:,} strips or tiles)")
    if any(not offset or not count or offset + count > size for offset, count in pieces):
        raise UnreadableImage(f"truncated after {size:,} bytes (its strips or tiles should reach further)")
    if page.compression == COMPRESSION.NONE and page.photometric != PHOTOMETRIC.YCBCR:  # subsampled ones take less
        _check_bytes(page, [count for _, count in pieces])


def _check_bytes(page: TiffPage, counts: Sequence[int]) -> None:
    """Raise UnreadableImage for strips or tiles that hold fewer bytes than their pixels take, or rows more."""
    rows, row = page.chunks[0], -(-math.prod(page.chunks[1:]) * page.bitspersample // 8)
    most = rows * row * len(counts)
    left = np.full(len(counts), rows)
    if not page.is_tiled:  # the last strip may be written with all its rows, or with those of the image alone
        left = np.minimum(page.imagelength - rows * (np.arange(len(counts)) % -(-page.imagelength // rows)), rows)
    if short := np.flatnonzero(np.array(counts) < left * row).tolist():
        raise UnreadableImage(
            f"truncated ({counts[short[0]]:,} of {left[short[0]] * row:,} bytes of pixels in strip or tile {short[0]})"
        )
    if sum(counts) >= most + row * len(counts):
        raise UnreadableImage(f"damaged ({sum(counts):,} bytes of pixels, the header says {most:,})")


def _kind(page: TiffPage) -> str:
    colours = str(getattr(page.photometric, "name", f"photometric interpretation {page.photometric}"))
    samples = f"{page.samplesperpixel} channel{'s' * (page.samplesperpixel > 1)}"
    return f"TIFF of {colours}, {samples} of {_KINDS.get(page.sampleformat, 'undefined ')}{page.bitspersample} bits"


def _check_kind(page: TiffPage, kind: str) -> None:
    """Raise UnreadableImage, with what it is, for what is neither gray nor integer colors, or is contradictory."""
    good = page.photometric in _CHANNELS and _samples_are_known(page) and _channels_are_known(page)
    if not (good and _layout_is_known(page)):
        raise UnreadableImage(f"{kind} is not supported; save it as gray, or as RGB of 8 bits")


def _samples_are_known(page: TiffPage) -> bool:
    bits, plain = page.bitspersample, page.sampleformat == SAMPLEFORMAT.UINT
    if page.compression in _FAX:
        return plain and bits == 1 and page.photometric in _GRAY
    if page.compression in _JPEG or page.photometric == PHOTOMETRIC.YCBCR:
        return plain and bits == 8
    if page.photometric in _GRAY and (bits > 8 or not plain):
        return page.sampleformat in _KINDS and page.dtype is not None and bits in (8, 12, 16, 32, 64)
    return plain and bits in ((8, 16) if page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.SEPARATED) else (1, 2, 4, 8))


def _channels_are_known(page: TiffPage) -> bool:
    needed, samples, extra = _CHANNELS[page.photometric], page.samplesperpixel, page.extrasamples
    if any(each not in (0, 1, 2) for each in extra):
        return False
    if page.photometric == PHOTOMETRIC.RGB and samples == 4 and extra == ():
        return True
    alpha = len(extra) == 1 and extra[0] != EXTRASAMPLE.UNSPECIFIED and page.bitspersample == 8
    more = page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.SEPARATED) or (page.photometric in _GRAY and alpha)
    return samples == needed + len(extra) and (not extra or more)


def _layout_is_known(page: TiffPage) -> bool:
    predictor, bits = page.predictor, page.bitspersample
    by_pillow = page.compression in (*_JPEG, *_FAX) or page.photometric == PHOTOMETRIC.YCBCR
    planes = page.planarconfig == PLANARCONFIG.CONTIG or (page.planarconfig == PLANARCONFIG.SEPARATE and not by_pillow)
    differences = predictor == PREDICTOR.HORIZONTAL and bits in (8, 16, 32, 64)
    of_floats = predictor == PREDICTOR.FLOATINGPOINT and page.sampleformat == SAMPLEFORMAT.IEEEFP
    return planes and (predictor == PREDICTOR.NONE or (page.compression in _PREDICTED and (differences or of_floats)))
