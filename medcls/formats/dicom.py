"""The image of a DICOM file, as a radiologist's screen shows it: this and dicom_file.py alone call pydicom."""

import logging
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import RLELossless

from medcls.formats.budget import Admission
from medcls.formats.dicom_file import read_elements
from medcls.formats.gray import Floats, Gray, Window, between_percentiles, through_window
from medcls.formats.unreadable import UnreadableImage

logging.getLogger("pydicom").setLevel(logging.ERROR)  # it warns about every file that pads its pixels


def read_dicom(content: bytes, *, admit: Admission, window: Window) -> Image.Image | Gray:
    """The one image of a DICOM file: RGB, or Gray.

    Gray values are rescaled to their unit (or through the modality's table), then shown through ``window``: the file's
    own (or its table), where it has none between percentiles 0.5 and 99.5, or with 8 bits or fewer, and no table of the
    modality, as they are, from bright to dark where the slope is negative.
    MONOCHROME1 is inverted. Raises UnreadableImage as ``read_elements`` does, and for an invalid rescaling or invalid
    colors; other exceptions for a damaged file.
    """
    dataset = read_elements(content, admit)
    # pydicom's own decoder of RLE is slower than the plug-in pylibjpeg-rle, but damage does not abort it.
    own = dataset.file_meta.TransferSyntaxUID == RLELossless
    pixels = pixel_array(dataset, decoding_plugin="pydicom" if own else "")
    photometric = str(dataset.PhotometricInterpretation)
    values = _rescaled(dataset, pixels)
    if not photometric.startswith("MONOCHROME") and values is not pixels:
        raise UnreadableImage(f"colors in {photometric}, and a rescaling of gray values")
    if pixels.ndim == 3:
        if pixels.shape[2] != 3 or pixels.dtype.kind != "u" or not photometric.startswith(("RGB", "YBR")):
            raise UnreadableImage(f"colors in {photometric}, {pixels.dtype}, expected RGB or YBR of unsigned integers")
        return _colour(pixels, int(dataset.BitsStored))
    if photometric == "PALETTE COLOR":
        coloured = apply_color_lut(pixels, dataset)
        return _colour(coloured[..., :3], 8 * coloured.dtype.itemsize)
    if not photometric.startswith("MONOCHROME"):
        raise UnreadableImage(f"one sample per pixel in {photometric}, expected MONOCHROME1 or MONOCHROME2")
    return Gray(values, _show(dataset, pixels, window), inverted=photometric == "MONOCHROME1")


def _colour(pixels: NDArray[Any], bits: int) -> Image.Image:
    if bits < 8:
        raise UnreadableImage(f"colors of {bits} bits, expected 8 or more")
    return Image.fromarray((pixels >> (bits - 8)).astype(np.uint8))


def _rescaled(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[Any]:
    """Stored values in the unit of the image."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(pixels, dataset.ModalityLUTSequence[0], dataset)[0]
    found = _number(dataset, "RescaleSlope")
    slope, intercept = 1.0 if found is None else found, _number(dataset, "RescaleIntercept") or 0.0
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise UnreadableImage(f"RescaleSlope {slope}, RescaleIntercept {intercept}, which leave no image")
    if (slope, intercept) == (1, 0):
        return pixels
    rescaled = pixels * slope + intercept  # as float64, since that is what DICOM's decimal numbers are for
    return rescaled.astype(np.float32) if pixels.dtype.itemsize <= 2 else rescaled


def _show(dataset: Dataset, pixels: NDArray[Any], window: Window) -> Any:
    """The function from rescaled values to 0..255, before MONOCHROME1 is inverted."""
    if isinstance(window, tuple):
        return partial(through_window, center=window[0], width=window[1])
    if window == "file":
        if dataset.get("VOILUTSequence"):
            return partial(_through_table, dataset=dataset)
        center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
        if center is not None and width is not None:
            function = str(dataset.get("VOILUTFunction") or "LINEAR")
            return partial(through_window, center=center, width=width, function=function)
        looked_up = dataset.get("ModalityLUTSequence")
        if "BitsStored" in dataset and dataset.BitsStored <= 8 and pixels.dtype.kind == "u" and not looked_up:
            most = 2**dataset.BitsStored - 1
            falling = (_number(dataset, "RescaleSlope") or 1) < 0
            return lambda _: (most - pixels if falling else pixels).astype(np.float32) * np.float32(255 / most)
    return partial(between_percentiles, shown=_inside(dataset, pixels))


def _through_table(values: Floats, dataset: Dataset) -> Floats:
    entries, most = _looked_up(values, dataset.VOILUTSequence[0], dataset)
    shown: Floats = np.clip(entries.astype(np.float32) * np.float32(255 / most), 0, 255)
    return shown


def _looked_up(values: NDArray[Any], table: Dataset, dataset: Dataset) -> tuple[NDArray[Any], int]:
    """The table's entry for each value, its first or last for values outside, and the largest possible entry.

    Not with pydicom's functions, which take the position in a table of 8 bits modulo 256.
    """
    count, first, bits = (int(number) for number in table.LUTDescriptor)
    if first >= 2**15 and dataset.get("PixelRepresentation") == 1:  # which files do not always write as signed
        first -= 2**16
    data = table.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, "<u2" if dataset.original_encoding[1] else ">u2")
    entries = np.asarray(data, np.uint16).ravel()
    if len(entries) < (count or 2**16) or not 8 <= bits <= 16:
        raise UnreadableImage(f"a table of {len(entries):,} entries of {bits} bits, {count or 2**16:,} announced")
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, (count or 2**16) - 1)
    return entries[places], 2**bits - 1


def _inside(dataset: Dataset, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Mask of the pixels that are not padding; None without any."""
    first = dataset.get("PixelPaddingValue")
    if first is None or pixels.dtype.kind == "f":
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    # Both are signed as the pixels are, but files do not always write them so.
    ends = np.array([first, first if last is None else last], np.int64).astype(pixels.dtype)
    inside: NDArray[np.bool_] = (pixels < ends.min()) | (pixels > ends.max())
    return inside


def _number(dataset: Dataset, name: str) -> float | None:
    """The value of a decimal string, the first of several; None where it is absent or empty."""
    value = dataset.get(name)
    if isinstance(value, MultiValue):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)
