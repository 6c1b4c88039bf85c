"""Which files are images: how their names end, and the bytes that they begin with."""

import os

ENDINGS = {
    *(".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pbm", ".pgm", ".ppm", ".pnm"),
    *(".dcm", ".dicom", ".ima"),
}

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # in either byte order, the last two with 64-bit offsets
_NETPBM = tuple(b"P%d" % i for i in range(1, 7))
_BEGINNINGS = {
    **{b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"GIF8": "GIF"},
    **dict.fromkeys(_TIFF, "TIFF"),
    **dict.fromkeys(_NETPBM, "PPM"),
}
PILLOW_FORMATS = sorted({*_BEGINNINGS.values(), "WEBP"})  # what Pillow may open; DICOM has a reader of its own
_FOREIGN = {
    **{b"%PDF": "a PDF", b"RIFF": "a RIFF file, but not WebP", b"PK": "a zip archive", b"\x1f\x8b": "a gzip archive"},
    **{b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"\x93NUMPY": "a NumPy array"},
    **{b"8BPS": "a Photoshop file", b"Pf": "a PFM file", b"PF": "a PFM file", b"P7": "a PAM file"},
}
# Groups that a DICOM file can begin with, and the value representations of their first elements.
_FIRST_GROUPS = (b"\x02\0", b"\x08\0")
_REPRESENTATIONS = (b"UL", b"CS", b"UI", b"DA", b"TM", b"SH", b"LO", b"DT", b"OB")


def pillow_format(content: bytes) -> str | None:
    """Pillow's name of the format that ``content`` begins as, None for any that is not among ``PILLOW_FORMATS``."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)
    return None if kind == "PPM" and not content[2:3].isspace() else kind


def foreign_kind(content: bytes) -> str:
    """What ``content`` of another kind begins as, in words, for a message."""
    name = next((kind for magic, kind in _FOREIGN.items() if content.startswith(magic)), None)
    return name or "begins with " + repr(content[:8])[1:]


def has_dicom_mark(content: bytes) -> bool:
    """Whether ``content`` begins as part 10 of DICOM has it: 128 bytes of anything, then DICM."""
    return content[128:132] == b"DICM"


def is_dicom(content: bytes) -> bool:
    """Whether ``content`` begins as a DICOM file does, its first 132 bytes at least: 128 of anything, then DICM.

    Or, as some archives write them, with neither: then with two elements of which the first is of the group of the
    file or of its identification.
    """
    if has_dicom_mark(content):
        return True
    if content[:2] not in _FIRST_GROUPS:
        return False
    explicit = content[4:6] in _REPRESENTATIONS
    size = int.from_bytes(content[6:8] if explicit else content[4:8], "little")
    first, second = (int.from_bytes(content[at : at + 2], "little") for at in (0, 8 + size))
    # The first elements are short, and what follows is of the same group or of one soon after.
    return 0 < size <= 100 and first <= second <= 0x10 and second % 2 == 0


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
