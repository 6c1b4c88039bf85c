"""Independent readers: bytes of a file -> its samples (H, W) or (H, W, channels), None where they cannot say."""

import io
import tempfile

import cv2
import imagecodecs
import numpy as np
import pydicom
import tifffile
from PIL import Image


def opencv(content):
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim == 2:
        return found
    return found[..., [2, 1, 0, 3][: found.shape[2]]]


def libpng(content):
    return imagecodecs.png_decode(content)


def pillow_alone(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def libtiff(content):
    found = imagecodecs.tiff_decode(content)
    found = found.astype(np.uint8) * 255 if found.dtype == bool else found
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        found = 255 - found if file.pages.first.photometric == 0 and found.dtype == np.uint8 else found
    return np.moveaxis(found, 0, -1) if found.ndim == 3 and found.shape[0] < found.shape[2] else found


def by_tifffile(content):
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        found = page.asarray(maxworkers=1)
        found = np.moveaxis(found, 0, -1) if page.planarconfig == 2 and found.ndim == 3 else found
        if page.photometric == 3:
            found = (page.colormap >> 8).astype(np.uint8).T[found]
        if page.photometric <= 1 and page.bitspersample < 8:
            found = found.astype(np.uint8) * (255 // (2**page.bitspersample - 1))
        return 255 - found if page.photometric == 0 and found.dtype == np.uint8 else found


def divided_by_alpha(content):
    """Colours (high bytes) that the file holds multiplied by their alpha."""
    found = by_tifffile(content)
    high = (found >> (8 * (found.dtype.itemsize - 1))).astype(int)
    colours = np.minimum(high[..., :3] * 255 // np.maximum(high[..., 3:], 1), 255)
    return np.concatenate([colours, high[..., 3:]], 2).astype(np.uint8)


def simpleitk(ending):
    def read(content):
        import SimpleITK

        with tempfile.NamedTemporaryFile(suffix=ending) as file:
            file.write(content.replace(b"MONOCHROME1", b"MONOCHROME2"))  # which it would invert by itself
            file.flush()
            return np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(file.name)))

    read.__name__ = "simpleitk"
    return read


def by_pydicom(content):
    """Samples by pydicom alone: its decoders, in the unit of the image."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    return pydicom.pixels.processing.apply_modality_lut(dataset.pixel_array, dataset)
