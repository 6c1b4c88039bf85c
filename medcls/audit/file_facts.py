"""What a file says about its image besides the pixels: size, mode, format; and a digest of its pixels."""

import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps

from medcls.formats.kinds import PILLOW_FORMATS, is_dicom
from medcls.formats.pillow import reading

log = logging.getLogger(__name__)

# Nothing else of a patient's file is read.
_DICOM_TAGS = ("Rows", "Columns", "PhotometricInterpretation", "BitsStored")


class FileFacts(NamedTuple):
    """Width and height in pixels, Pillow's mode ("L", "RGB", ...), format and size in bytes; 0 and "" where unknown."""

    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    bytes: int = 0


def read_all_facts(root: Path | None, names: Sequence[str]) -> list[FileFacts]:
    """Facts of the files ``root/name``, from their headers; unknown for images without files (``root`` None)."""
    if root is None:
        return [FileFacts()] * len(names)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: read_facts(root / name), names))


def read_facts(path: Path) -> FileFacts:
    """Facts of one file; unknown if there is no such file (images that come as one array) or it cannot be parsed."""
    try:
        size = os.stat(path).st_size
    except OSError:
        return FileFacts()
    try:
        with reading, Image.open(path, formats=PILLOW_FORMATS) as image:
            return FileFacts(image.width, image.height, image.mode, str(image.format), size)
    except Exception:  # Pillow's parsers raise nearly anything; DICOM files have a parser of their own
        return dicom_facts(path, size)


def dicom_facts(path: Path, size: int) -> FileFacts:
    """Facts of a DICOM file, with or without its preamble; for any other file only its suffix and size."""
    unknown = FileFacts(format=path.suffix.lstrip(".").upper(), bytes=size)
    try:
        import pydicom

        with path.open("rb") as file:
            known = is_dicom(file.read(132))
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*_DICOM_TAGS], force=known)
        mode = f"{header.PhotometricInterpretation}, {header.BitsStored} bits"
        return FileFacts(int(header.Columns), int(header.Rows), mode, "DICOM", size)
    except Exception:
        return unknown


def pixel_digest(path: Path) -> str:
    """Digest of the pixels at full size, upright, in the file's own mode; "" if Pillow cannot read them."""
    try:
        with reading, Image.open(path, formats=PILLOW_FORMATS) as image:
            upright = ImageOps.exif_transpose(image)
            # A palette or an alpha channel is just another way to store the same colors.
            if upright.mode in ("P", "1", "RGBA", "LA", "PA", "CMYK"):
                upright = upright.convert("RGB")
            if upright.mode == "RGB":
                red, green, blue = (channel.tobytes() for channel in upright.split())
                if red == green == blue:
                    upright = upright.getchannel(0)
            return hashlib.sha256(repr((upright.mode, upright.size)).encode() + upright.tobytes()).hexdigest()
    except Exception:
        return ""


def few_levels(path: Path) -> bool:
    """Whether an image has one or two different values, as a mask does; False if Pillow cannot read it."""
    try:
        with reading, Image.open(path, formats=PILLOW_FORMATS) as image:
            return image.getcolors(2) is not None
    except Exception:
        return False
