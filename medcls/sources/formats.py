"""Which files are images: how their names end, and the bytes that they begin with."""

import os

ENDINGS = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"}

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # in either byte order, the last two with 64-bit offsets
_BEGINNINGS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", **dict.fromkeys(_TIFF, "TIFF")}
PILLOW_FORMATS = sorted(set(_BEGINNINGS.values()))  # what Pillow may open; DICOM has a reader of its own


def pillow_format(content: bytes) -> str | None:
    """Pillow's name of the format that ``content`` begins as, None for any that is not among ``PILLOW_FORMATS``."""
    return next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)


def is_dicom(content: bytes) -> bool:
    """Whether ``content`` begins as a DICOM file does: 128 bytes of anything, then DICM."""
    return content[128:132] == b"DICM"


def is_image_name(folder: str, name: str) -> bool:
    """Whether a file looks like an image: by its ending or, with any other or none, by the mark of DICOM.

    Archives name files IM000001, or by unique identifiers, whose last number looks like an ending, and keep a
    DICOMDIR beside them, which has the mark and no image.
    """
    if name.upper() == "DICOMDIR":
        return False
    ending = os.path.splitext(name)[1].lower()
    if ending in ENDINGS:
        return True
    try:
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False
