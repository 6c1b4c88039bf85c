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
        return np.asarray(image.convert({"P": "RGB", "1": "L"}.get(image.mode, image.mode)))


def libtiff(content):
    found = imagecodecs.tiff_decode(content)
    found = found.astype(np.uint8) * 255 if found.dtype == bool else found
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        photometric, bits = file.pages.first.photometric, file.pages.first.bitspersample
    if photometric <= 1 and bits in (2, 4):
        found = found * np.uint8(255 // (2**bits - 1))
    if photometric == 3:
        raise ValueError("places in a palette")
    found = 255 - found if photometric == 0 and found.dtype == np.uint8 else found
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


def plain(content):
    """The file without what would have GDCM invert it: MONOCHROME1, which may be deflated."""
    if b"1.2.840.10008.1.2.1.99" in content[:400]:
        dataset, file = pydicom.dcmread(io.BytesIO(content)), io.BytesIO()
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        dataset.save_as(file)
        content = file.getvalue()
    return content.replace(b"MONOCHROME1", b"MONOCHROME2")


def simpleitk(ending):
    def read(content):
        import SimpleITK

        with tempfile.NamedTemporaryFile(suffix=ending) as file:
            file.write(plain(content))
            file.flush()
            return np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(file.name)))

    read.__name__ = "simpleitk"
    return read


def by_pydicom(content):
    """Samples by pydicom alone: its decoders, in the unit of the image."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    return pydicom.pixels.processing.apply_modality_lut(dataset.pixel_array, dataset)
