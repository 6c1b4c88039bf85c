"""A DICOM file's bytes in, the elements that make its image out: as one flat data set, checked to be whole."""

import io
import zlib
from collections.abc import Iterator
from typing import Any

import pydicom
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medcls.formats.budget import BYTES_A_PIXEL, Admission
from medcls.formats.jpeg import read_jpeg
from medcls.formats.kinds import has_dicom_mark
from medcls.formats.unreadable import UnreadableImage
from medcls.formats.whole import jpeg_frame, truncated

_JPEG = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes}
_JPEG2000 = set(JPEG2000TransferSyntaxes)
_USUAL_PIECES = 20_000  # that a header is read in, two or three an element; more are allowed with more pixels
_COLOURS = ("Red", "Green", "Blue")
_SAMPLES = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Of enhanced files, which have these inside functional groups, for all frames or for each.
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_GROUPED = {
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
}
# Only what makes the image is parsed: names, dates and private elements of a patient's file are skipped.
_TAGS = [
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(*_GROUPS, *_SAMPLES, "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
]


def read_elements(content: bytes, admit: Admission) -> Dataset:
    """The elements that make the image of a DICOM file, with or without its preamble and meta information.

    Rescaling and windows of functional groups are moved to where a classic file has them. Raises UnreadableImage for
    several frames, no image, what ``admit`` refuses, a compression without a plug-in, and pixels that are truncated
    or not of the size in the header; other exceptions for a damaged file.
    """
    content = _inflated(content, admit)
    file = _Limited(content, max(_USUAL_PIECES, admit.max_pixels // 1000))
    dataset = pydicom.dcmread(file, specific_tags=list(_TAGS), force=not has_dicom_mark(content))
    _check_one_image(dataset)
    bits = int(dataset.get("BitsAllocated") or 64)  # absent where pixels are floats
    colour = dataset.SamplesPerPixel * -(-bits // 8) if dataset.SamplesPerPixel > 1 else 0
    admit(int(dataset.Columns), int(dataset.Rows), max(4, bits // 8, colour))
    _name_encoding(dataset)
    _check_whole(dataset)
    _flatten(dataset)
    return dataset


class _Limited(io.BytesIO):
    """Bytes that refuse to be read in too many pieces: a header of a few megabytes can take minutes to parse."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = self._left = most

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            reason = f"a header of more than {self._most:,} pieces (data.max_pixels)"
            raise UnreadableImage(reason, lasting=False)
        return super().read(size)


def _inflated(content: bytes, admit: Admission) -> bytes:
    """The file, inflated if it was deflated as a whole.

    Raises UnreadableImage where the result is larger than ``data.max_pixels`` allows, or where the end is missing.
    """
    meta = 132 if has_dicom_mark(content) else 0
    start = meta + 12 + int.from_bytes(content[meta + 8 : meta + 12], "little")  # after the file meta information
    if content[meta : meta + 2] != b"\2\0" or DeflatedExplicitVRLittleEndian.encode() not in content[meta:start]:
        return content
    limit = BYTES_A_PIXEL * admit.max_pixels
    admit.one_inflated()
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    dataset = inflate.decompress(content[start:], limit)
    if inflate.unconsumed_tail:
        raise UnreadableImage(f"inflates to more than {limit:,} bytes (data.max_pixels)", lasting=False)
    if not inflate.eof:
        raise truncated(content)
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return content[:start].replace(DeflatedExplicitVRLittleEndian.encode(), plain) + dataset


def _check_one_image(dataset: Dataset) -> None:
    if not any(name in dataset for name in _SAMPLES):
        raise UnreadableImage("a DICOM file without an image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UnreadableImage(f"a DICOM file of {frames:,} frames; write each image to a file of its own")
    if int(dataset.SamplesPerPixel) not in (1, 3):
        raise UnreadableImage(f"{int(dataset.SamplesPerPixel)} samples a pixel, expected 1 or 3")
    if "BitsStored" in dataset and dataset.get("HighBit", dataset.BitsStored - 1) != dataset.BitsStored - 1:
        raise UnreadableImage(f"HighBit {dataset.HighBit} of {dataset.BitsStored} bits stored is not supported")


def _name_encoding(dataset: Dataset) -> None:
    """Name the transfer syntax where the file does not: it is uncompressed, and its elements show their encoding."""
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    if any(name in dataset and dataset[name].is_undefined_length for name in _SAMPLES):
        raise UnreadableImage("a DICOM file with compressed pixels that does not say how (no TransferSyntaxUID)")
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _flatten(dataset: Dataset) -> None:
    """Move rescaling and windows of functional groups to where a classic file has them."""
    for values in _grouped(dataset):
        for element in values:
            if element.keyword in dataset and dataset[element.keyword].value != element.value:
                raise UnreadableImage(f"two values of {element.keyword}, in the file and in its functional groups")
            dataset[element.tag] = element


def _grouped(dataset: Dataset) -> Iterator[list[Any]]:
    for groups in _GROUPS:
        for group in (dataset.get(groups) or [])[:1]:
            for sequence, names in _GROUPED.items():
                for item in (group.get(sequence) or [])[:1]:
                    yield [item[name] for name in names if name in item]


def _check_whole(dataset: Dataset) -> None:
    """Raise UnreadableImage for pixels that cannot be decompressed, or are not of the size that the header says."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_compressed:
        _check_length(dataset)
        return
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise UnreadableImage(f"{syntax.name}: no plug-in for it; pip install 'medcls[dicom]'", lasting=False)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    size = (int(dataset.Columns), int(dataset.Rows))
    if syntax == RLELossless:
        _check_rle(frame, size)
    if syntax not in _JPEG | _JPEG2000:
        return
    # The decoders take the size from here, and fill in what is missing.
    if b"\xff\xd9" not in frame.rstrip(b"\0")[-3:]:  # a byte may fill up to an even number
        raise UnreadableImage(f"truncated after {len(frame):,} bytes of compressed pixels")
    found = _jpeg2000_size(frame) if syntax in _JPEG2000 else jpeg_frame(frame)[2:4]
    if found != size:
        raise UnreadableImage(f"damaged (compressed pixels {found}, header {size})")
    if syntax == JPEGBaseline8Bit:
        read_jpeg(frame, "L")  # pydicom's decoder hides what is missing


def _check_length(dataset: Dataset) -> None:
    """Refuse uncompressed pixels that are more than the header's rows, columns and bits; zeros may follow them."""
    if "PixelData" in dataset:
        expected, data = get_expected_length(dataset), dataset.PixelData
        if len(data) > expected and any(memoryview(data)[expected:][1:]):  # one byte fills up to an even number
            raise UnreadableImage(f"damaged ({len(data):,} bytes of pixels, the header says {expected:,})")


def _check_rle(frame: bytes, size: tuple[int, int]) -> None:
    """Each segment must be one byte per pixel; pydicom cuts longer ones, here they may exceed it by part of a row."""
    count = int.from_bytes(frame[:4], "little")
    starts = [int.from_bytes(frame[at : at + 4], "little") for at in range(4, 4 + 4 * min(count, 15), 4)]
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=False):
        found = _rle_length(frame[start:end])
        if not size[0] * size[1] <= found < size[0] * (size[1] + 1):
            raise UnreadableImage(f"damaged ({found:,} pixels of run lengths, the header says {size[0] * size[1]:,})")


def _rle_length(segment: bytes) -> int:
    position = length = 0
    while position < len(segment) - 1:
        control = segment[position]
        length += control + 1 if control < 128 else (257 - control) * (control > 128)
        position += control + 2 if control < 128 else 1 + (control > 128)
    return length


def _jpeg2000_size(frame: bytes) -> tuple[int, int]:
    """Width and height of a JPEG 2000 code stream, which begins with its size; (0, 0) without."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # some wrap the stream in a file format with boxes before it
    if start < 0:
        return 0, 0
    right, bottom, left, top = (int.from_bytes(frame[start + at : start + at + 4], "big") for at in (8, 12, 16, 20))
    return right - left, bottom - top
