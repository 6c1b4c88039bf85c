"""A TIFF file's bytes in: whether it holds one whole image that can be shown; its samples where Pillow would not do."""

import io
import logging
import math
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT, TiffPage

from medcls.sources.budget import Admission
from medcls.sources.gray import Gray
from medcls.sources.unreadable import UnreadableImage

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says of damage does not say of which file

_GRAY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
# Of colours, the fewest channels and the bits that each may have, in turn for each pixel or in planes.
_COLOURS: dict[int, tuple[int, tuple[int, ...]]] = {
    PHOTOMETRIC.RGB: (3, (8, 16)),
    PHOTOMETRIC.PALETTE: (1, (1, 2, 4, 8)),
    PHOTOMETRIC.SEPARATED: (4, (8, 16)),
    PHOTOMETRIC.YCBCR: (1, (8,)),
}
_IN_PLANES = {*_GRAY, PHOTOMETRIC.RGB}
_USUAL_PIECES = 20_000  # strips or tiles, each of which costs time; more are allowed with more pixels
_KINDS: dict[int, str] = {SAMPLEFORMAT.UINT: "", SAMPLEFORMAT.INT: "signed ", SAMPLEFORMAT.IEEEFP: "floating-point "}


def read_tiff(content: bytes, admit: Admission) -> tuple[Gray | Image.Image | None, int, str]:
    """The image, or None where Pillow reads it right; its orientation; what it is, in words.

    Raises UnreadableImage for several images, strips or tiles that are missing or reach past the end, samples or
    colours that cannot be shown, and what ``admit`` does not; other exceptions for a damaged file.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        try:
            page = file.pages.first
        except IndexError as error:
            raise UnreadableImage("damaged header") from error
        assert isinstance(page, TiffPage)
        _check_one_image(file, page)
        _check_pieces(page, len(content), admit.max_pixels)
        kind = _kind(page)
        _check_kind(page, kind)
        return _image(page, admit), int(page.tags.valueof(274, 1)), kind


def _image(page: TiffPage, admit: Admission) -> Gray | Image.Image | None:
    gray, bits = page.photometric in _GRAY, page.bitspersample
    deep = gray and (bits > 8 or page.sampleformat != SAMPLEFORMAT.UINT)
    # Of samples in planes, Pillow confuses those of 16 bits, and forgets what is special of others.
    if not deep and page.planarconfig == PLANARCONFIG.CONTIG and (page.photometric != PHOTOMETRIC.RGB or bits == 8):
        return None
    inverted = page.photometric == PHOTOMETRIC.MINISWHITE
    admit(page.imagewidth, page.imagelength, max(4 if deep else 1, page.samplesperpixel * -(-bits // 8)))
    samples = page.asarray(maxworkers=1)
    if deep:
        return Gray(samples, inverted=inverted)
    if gray:
        levels = samples.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
        return Image.fromarray(255 - levels if inverted else levels)
    return _rgb(page, samples)


def _rgb(page: TiffPage, samples: NDArray[Any]) -> Image.Image:
    """RGB, or RGBA where colours are not multiplied by alpha; of 16 bits the high byte."""
    if page.planarconfig == PLANARCONFIG.SEPARATE:
        samples = np.moveaxis(samples, 0, -1)
    alpha = samples.shape[2] > 3 and page.extrasamples[:1] in ((), (EXTRASAMPLE.UNASSALPHA,))
    samples = samples[..., : 3 + alpha]
    high = samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(high))


def _check_one_image(file: tifffile.TiffFile, page: TiffPage) -> None:
    """Raise UnreadableImage for a stack or a series; only thumbnails and masks may follow the image."""
    if page.imagedepth != 1 or page.imagewidth < 1 or page.imagelength < 1:
        raise UnreadableImage(f"damaged (a size of {page.imagewidth} x {page.imagelength} x {page.imagedepth})")
    try:
        second = file.pages[1].aspage()
    except IndexError:
        return
    if second.shape == page.shape and not (second.is_reduced or second.is_mask):
        raise UnreadableImage("a TIFF file of several images; write each to a file of its own")


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
        raise UnreadableImage(f"truncated after {size:,} bytes (its strips or tiles are to reach further)")
    # Subsampled colours take less than the samples say; their length is for the decoder to check.
    bits = page.imagelength * page.imagewidth * page.samplesperpixel * page.bitspersample
    stored = sum(count for _, count in pieces)
    if page.compression == COMPRESSION.NONE and page.photometric != PHOTOMETRIC.YCBCR and 8 * stored < bits:
        raise UnreadableImage(f"truncated ({stored:,} of {bits // 8:,} bytes of pixels)")


def _kind(page: TiffPage) -> str:
    colours = str(getattr(page.photometric, "name", f"photometric interpretation {page.photometric}"))
    samples = f"{page.samplesperpixel} channel{'s' * (page.samplesperpixel > 1)}"
    return f"TIFF of {colours}, {samples} of {_KINDS.get(page.sampleformat, 'undefined ')}{page.bitspersample} bits"


def _check_kind(page: TiffPage, kind: str) -> None:
    """Raise UnreadableImage, with what it is, for what is neither gray nor colours of integers."""
    bits, samples, extra = page.bitspersample, page.samplesperpixel, page.extrasamples
    plain = page.sampleformat == SAMPLEFORMAT.UINT
    in_planes = page.planarconfig == PLANARCONFIG.SEPARATE and page.photometric in _IN_PLANES
    if page.photometric in _GRAY:
        alpha = plain and bits == 8 and len(extra) == 1 and extra[0] != EXTRASAMPLE.UNSPECIFIED and not in_planes
        known = page.sampleformat in _KINDS and page.dtype is not None
        good = known and (samples == 1 or alpha) and (bits in (1, 2, 4) or bits >= 8)
    else:
        fewest, depths = _COLOURS.get(page.photometric, (1, ()))
        good = plain and samples >= fewest and bits in depths
    good = good and (page.planarconfig == PLANARCONFIG.CONTIG or in_planes)
    if not good:
        raise UnreadableImage(f"{kind} is not supported; save it as gray, or as RGB of 8 bits")
