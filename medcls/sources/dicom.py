"""A DICOM file's bytes in, an image as a radiologist's screen shows it out: the only file that calls pydicom."""

import io
import logging
import zlib
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medcls.sources.gray import Window, between_percentiles, through_window
from medcls.sources.unreadable import UnreadableImage

logging.getLogger("pydicom").setLevel(logging.ERROR)  # it warns of every file that pads its pixels

_JPEG = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes}
_JPEG2000 = set(JPEG2000TransferSyntaxes)
_USUAL_PIECES = 20_000  # that a header is read in, two or three an element; more are allowed with more pixels
_COLOURS = ("Red", "Green", "Blue")
# Only what makes the image is parsed: names, dates and private parts of a patient's file are passed over.
_TAGS = [
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
]


def read_dicom(content: bytes, *, max_pixels: int, window: Window) -> Image.Image:
    """The one image of a DICOM file: RGB, or F with values 0..255, bright where the screen is.

    Gray values are rescaled to their unit (or through the modality's table), then shown through ``window``: the file's
    own (or its table), where it has none between percentiles 0.5 and 99.5, as they are with 8 bits or fewer.
    MONOCHROME1 is inverted. Raises UnreadableImage for several frames, no image, more than ``max_pixels``, a
    compression whose plug-in is not installed, and truncated pixels; other exceptions for a damaged file.
    """
    file = _Limited(_inflated(content, 8 * max_pixels), max(_USUAL_PIECES, max_pixels // 1000))
    dataset = pydicom.dcmread(file, specific_tags=list(_TAGS))
    _check_one_image(dataset, max_pixels)
    _check_compressed(dataset)
    # pydicom's own decoder of RLE is slower than the plug-in pylibjpeg-rle, but damage does not abort it.
    own = dataset.file_meta.TransferSyntaxUID == RLELossless
    pixels = pixel_array(dataset, decoding_plugin="pydicom" if own else "")
    if pixels.ndim == 3:
        return _colour(pixels, int(dataset.BitsStored))
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        coloured = apply_color_lut(pixels, dataset)
        return _colour(coloured[..., :3], 8 * coloured.dtype.itemsize)
    shown = _gray(dataset, pixels, window)
    return Image.fromarray(255 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown)


class _Limited(io.BytesIO):
    """Bytes that refuse to be read in too many pieces: of a few megabytes a header can have elements for minutes."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = self._left = most

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            reason = f"a header of more than {self._most:,} pieces (data.max_pixels)"
            raise UnreadableImage(reason, lasting=False)
        return super().read(size)


def _inflated(content: bytes, limit: int) -> bytes:
    """The file as it was before it was deflated as a whole, if it was.

    Raises UnreadableImage where that is more than ``limit`` bytes.
    """
    start = 144 + int.from_bytes(content[140:144], "little")  # behind the group that names the compression
    if DeflatedExplicitVRLittleEndian.encode() not in content[132:start]:
        return content
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    dataset = inflate.decompress(content[start:], limit)
    if inflate.unconsumed_tail:
        raise UnreadableImage(f"inflates to more than {limit:,} bytes (data.max_pixels)", lasting=False)
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return content[:start].replace(DeflatedExplicitVRLittleEndian.encode(), plain) + dataset


def _check_one_image(dataset: Dataset, max_pixels: int) -> None:
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableImage("a DICOM file without an image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnreadableImage(f"a DICOM file of {frames:,} frames; write each image to a file of its own")
    size = int(dataset.Rows) * int(dataset.Columns)
    if size > max_pixels:
        raise UnreadableImage(f"too many pixels, {size:,} (data.max_pixels={max_pixels:,})", lasting=False)
    if int(dataset.SamplesPerPixel) not in (1, 3):
        raise UnreadableImage(f"{int(dataset.SamplesPerPixel)} samples a pixel, expected 1 or 3")


def _check_compressed(dataset: Dataset) -> None:
    """Raise UnreadableImage for pixels that cannot be decompressed, are truncated, or not of the size announced."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_compressed:
        return
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise UnreadableImage(f"{syntax.name}: no plug-in for it; pip install 'medcls[dicom]'", lasting=False)
    if syntax not in _JPEG | _JPEG2000:
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    # The decoders take the size from here, and fill in what is missing.
    if b"\xff\xd9" not in frame.rstrip(b"\0")[-3:]:  # a byte may fill up to an even number
        raise UnreadableImage(f"truncated after {len(frame):,} bytes of compressed pixels")
    size = _jpeg2000_size(frame) if syntax in _JPEG2000 else _jpeg_size(frame)
    if size != (int(dataset.Columns), int(dataset.Rows)):
        raise UnreadableImage(f"damaged (compressed pixels {size}, header {dataset.Columns, dataset.Rows})")


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """Width and height in the frame header of a JPEG or JPEG-LS stream; (0, 0) without one."""
    position = 2
    while position + 9 <= len(frame):
        if frame[position] != 0xFF:
            return 0, 0
        marker = frame[position + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            height, width = (int.from_bytes(frame[position + at : position + at + 2], "big") for at in (5, 7))
            return width, height
        position += 1 if marker == 0xFF else 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    return 0, 0


def _jpeg2000_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a JPEG 2000 code stream, which begins with its size; (0, 0) without."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # some wrap the stream in a file format with boxes before it
    if start < 0:
        return 0, 0
    right, bottom, left, top = (int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
    return right - left, bottom - top


def _colour(pixels: NDArray[Any], bits: int) -> Image.Image:
    return Image.fromarray((pixels >> max(bits - 8, 0)).astype(np.uint8))


def _gray(dataset: Dataset, pixels: NDArray[Any], window: Window) -> NDArray[np.float32]:
    """Gray values 0..255 of stored ones, before MONOCHROME1 is inverted."""
    values = np.asarray(apply_modality_lut(pixels, dataset), np.float32)
    if isinstance(window, tuple):
        return through_window(values, *window)
    if window == "file":
        if dataset.get("VOILUTSequence"):
            bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
            table = np.asarray(apply_voi(np.rint(values).astype(np.int64), dataset), np.float32)
            return np.asarray(np.clip(table * (255 / (2**bits - 1)), 0, 255), np.float32)
        center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
        if center is not None and width is not None:
            return through_window(values, center, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
        if "BitsStored" in dataset and dataset.BitsStored <= 8 and pixels.dtype.kind == "u":
            return np.asarray(pixels, np.float32) * np.float32(255 / (2**dataset.BitsStored - 1))
    padding = dataset.get("PixelPaddingValue")
    return between_percentiles(values, None if padding is None else pixels != padding)


def _first(value: Any) -> float | None:
    """The first of a file's windows, the one that it is meant to be shown with."""
    if value is None or value == "":
        return None
    return float(value[0]) if isinstance(value, MultiValue) else float(value)
