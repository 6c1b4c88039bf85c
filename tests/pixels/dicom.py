"""DICOM files of gray and colour, in every encoding."""

import io
import struct

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from pixels.cell import _RNG, SIDE, Cell, pillow, ramp
from pixels.readers import by_pydicom, simpleitk


def dicom(samples, *, syntax=ExplicitVRLittleEndian, head="whole", **elements):
    """head: whole, no preamble (from the meta group on), bare (neither), or no syntax (a meta group without it)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = elements.pop("sop", "1.2.840.10008.5.1.4.1.1.7")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Rows, dataset.Columns = samples.shape[:2]
    dataset.SamplesPerPixel = 1 if samples.ndim == 2 else samples.shape[2]
    dataset.PhotometricInterpretation = "MONOCHROME2" if samples.ndim == 2 else "RGB"
    if samples.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * samples.dtype.itemsize
    dataset.PixelRepresentation = int(samples.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    dataset.add_new("PixelData", "OW" if samples.dtype.itemsize > 1 else "OB", data + bytes(len(data) % 2))
    for name, value in elements.items():
        setattr(dataset, name, value)
    if "HighBit" not in elements:
        dataset.HighBit = dataset.BitsStored - 1
    file = io.BytesIO()
    if syntax == RLELossless and "PixelData" not in elements:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(RLELossless)
    if head == "bare":
        implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
        del dataset.file_meta
        dataset.save_as(file, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
        return file.getvalue()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    content = file.getvalue()
    if head == "no syntax":
        name = content.index(b"\2\0\x10\0UI")
        size = 8 + int.from_bytes(content[name + 6 : name + 8], "little")
        length = int.from_bytes(content[140:144], "little") - size
        content = content[:140] + struct.pack("<I", length) + content[144:name] + content[name + size :]
    return content[132:] if head == "no preamble" else content


def linear(center, width):
    """The function LINEAR of PS3.3 C.11.2.1.2.1, written as the standard writes it."""

    def shown(x):
        inside = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
        inside = np.where(x <= center - 0.5 - (width - 1) / 2, 0, inside)
        return np.where(x > center - 0.5 + (width - 1) / 2, 255, inside)

    return shown


def grouped(shared=(), each=()):
    """Elements of an enhanced file: rescaling and window in functional groups."""
    groups = {}
    rescaling, window = Dataset(), Dataset()
    rescaling.RescaleSlope, rescaling.RescaleIntercept, rescaling.RescaleType = 2, -1024, "HU"
    window.WindowCenter, window.WindowWidth = 40, 400
    for name, parts in (("Shared", shared), ("PerFrame", each)):
        group = Dataset()
        if "rescaling" in parts:
            group.PixelValueTransformationSequence = [rescaling]
        if "window" in parts:
            group.FrameVOILUTSequence = [window]
        groups[f"{name}FunctionalGroupsSequence"] = [group]
    return groups


PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
SYNTAXES = [*PLAIN, DeflatedExplicitVRLittleEndian, RLELossless]


def dicom_gray_cells():
    gdcm = simpleitk(".dcm")
    for kind, stored in (("u1", 8), ("u1", 6), ("i1", 8), ("u2", 16), ("u2", 12), ("u2", 10), ("i2", 16), ("i2", 12)):
        samples = ramp(kind, bits=stored)
        low = -(2 ** (stored - 1)) if kind[0] == "i" else 0
        plain = kind[0] == "u" and stored <= 8

        def levels(x, stored=stored):
            return x * 255 / (2**stored - 1)

        for photometric in ("MONOCHROME1", "MONOCHROME2"):
            inverted = photometric == "MONOCHROME1"
            base = {"BitsStored": stored, "PhotometricInterpretation": photometric}
            for syntax in SYNTAXES:
                name = f"DICOM {kind} {stored} bits {photometric} {syntax.name}"
                content = dicom(samples, syntax=syntax, **base)
                how = {"inverted": inverted, "shown": levels if plain else None, "samples": samples}
                readers = (by_pydicom,) if inverted and syntax == DeflatedExplicitVRLittleEndian else (gdcm, by_pydicom)
                yield Cell(name, content, readers, **how)
                middle, width = low + 2 ** (stored - 1), 2 ** (stored - 2)
                for slope, intercept in ((1, -10), (0.5, 3), (-2, 7)):
                    center = slope * middle + intercept
                    elements = {"WindowCenter": center, "WindowWidth": abs(slope) * width, **base}
                    elements |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
                    content = dicom(samples, syntax=syntax, **elements)
                    how["shown"] = linear(center, abs(slope) * width)
                    how["samples"] = samples * float(slope) + intercept
                    yield Cell(f"{name} rescaled {slope} {intercept}", content, readers, **how)
    for kind in ("u4", "i4"):
        yield Cell(f"DICOM {kind}", dicom(ramp(kind)), (gdcm, by_pydicom), samples=ramp(kind))
    for head in ("no preamble", "bare", "no syntax"):
        for syntax in PLAIN:
            if head == "bare" and syntax == ExplicitVRBigEndian:
                continue
            for photometric in ("MONOCHROME1", "MONOCHROME2"):
                content = dicom(ramp("i2"), syntax=syntax, head=head, PhotometricInterpretation=photometric)
                name = f"DICOM {head} {syntax.name} {photometric}"
                inverted = photometric == "MONOCHROME1"
                yield Cell(name, content, (gdcm,), inverted=inverted, samples=ramp("i2"))


def dicom_colour_cells():
    gdcm = simpleitk(".dcm")
    colour = ramp("u1", 3)
    for syntax in SYNTAXES:
        yield Cell(f"DICOM RGB {syntax.name}", dicom(colour, syntax=syntax), (gdcm, by_pydicom))
        if syntax != RLELossless:
            planes = np.moveaxis(colour, 2, 0).tobytes()
            content = dicom(colour, syntax=syntax, PlanarConfiguration=1, PixelData=planes)
            yield Cell(f"DICOM RGB planes {syntax.name}", content, (gdcm, by_pydicom))
    yield Cell("DICOM RGB of 16 bits", dicom(ramp("u2", 3)), (gdcm, by_pydicom), samples=ramp("u2", 3))
    yield Cell("DICOM HSV", dicom(colour, PhotometricInterpretation="HSV"), refused="HSV")
    yield Cell("DICOM signed RGB", dicom(ramp("i1", 3)), refused="")
    yield Cell("DICOM four samples", dicom(ramp("u1", 4)), refused="4 samples a pixel")
    ybr = dicom(colour, PhotometricInterpretation="YBR_FULL")
    yield Cell("DICOM YBR_FULL", ybr, (_by_ycbcr,), within=1)
    for entry in (8, 16):
        tables = {}
        entries = {c: _RNG.integers(0, 2**entry, 256).astype(f"<u{entry // 8}") for c in ("Red", "Green", "Blue")}
        for c, values in entries.items():
            tables[f"{c}PaletteColorLookupTableDescriptor"] = [256, 0, entry]
            tables[f"{c}PaletteColorLookupTableData"] = values.tobytes()
        content = dicom(ramp("u1"), PhotometricInterpretation="PALETTE COLOR", **tables)
        shown = np.stack([(entries[c] >> (entry - 8)).astype(np.uint8)[ramp("u1")] for c in entries], 2)
        yield Cell(f"DICOM palette of {entry} bits", content, (gdcm,) if entry == 8 else (), samples=shown)
    gray = ramp("u2", bits=12)
    for syntax, frame in (
        (JPEG2000Lossless, imagecodecs.jpeg2k_encode(gray, bitspersample=12, codecformat="j2k", level=0)),
        (JPEGLSLossless, imagecodecs.jpegls_encode(gray)),
    ):
        content = dicom(gray, syntax=syntax, PixelData=encapsulate([frame]), BitsStored=12)
        yield Cell(f"DICOM {syntax.name}", content, (gdcm,))
        cut = dicom(gray, syntax=syntax, PixelData=encapsulate([frame[: len(frame) // 2]]), BitsStored=12)
        yield Cell(f"DICOM {syntax.name} cut", cut, refused="truncated")
    frame = pillow(Image.fromarray(ramp("u1")), "JPEG", quality=95)
    content = dicom(ramp("u1"), syntax=JPEGBaseline8Bit, PixelData=encapsulate([frame]))
    yield Cell("DICOM JPEG", content, (gdcm,), within=1, shown=lambda x: x)
    cut = frame[:-40] + b"\xff\xd9"
    content = dicom(ramp("u1"), syntax=JPEGBaseline8Bit, PixelData=encapsulate([cut]))
    yield Cell("DICOM JPEG cut, with an end", content, refused="truncated")


def _by_ycbcr(content):
    return np.asarray(Image.fromarray(ramp("u1", 3), "YCbCr").convert("RGB"))


def dicom_damage_cells():
    wide = np.concatenate([ramp("u2")] * 2)
    for rows in (SIDE // 2, SIDE - 1):
        plain = dicom(ramp("u2"), Rows=rows)
        yield Cell(f"DICOM of more rows than {rows}", plain, refused="the header says")
        rle = pydicom.dcmread(io.BytesIO(dicom(ramp("u2"), syntax=RLELossless)))
        rle.Rows = rows
        file = io.BytesIO()
        rle.save_as(file)
        yield Cell(f"DICOM run lengths of more rows than {rows}", file.getvalue(), refused="the header says")
    yield Cell("DICOM of fewer rows", dicom(ramp("u2"), Rows=2 * SIDE), refused="truncated")
    rle.Rows = 2 * SIDE
    file = io.BytesIO()
    rle.save_as(file)
    yield Cell("DICOM short run lengths", file.getvalue(), refused="the header says")
    deflated = dicom(wide, syntax=DeflatedExplicitVRLittleEndian)
    cut = deflated[: len(deflated) * 2 // 3]
    yield Cell("DICOM deflated, cut", cut, refused="truncated")
    yield Cell("DICOM deflated, zeros at the end", cut.ljust(len(deflated), b"\0"), refused="")
    yield Cell("DICOM of frames", dicom(wide, Rows=SIDE, NumberOfFrames=2), refused="2 frames")
    unnamed = dicom(ramp("u2"), syntax=JPEGLSLossless, PixelData=encapsulate([imagecodecs.jpegls_encode(ramp("u2"))]))
    name = unnamed.index(b"\2\0\x10\0UI")
    size = 8 + int.from_bytes(unnamed[name + 6 : name + 8], "little")
    length = struct.pack("<I", int.from_bytes(unnamed[140:144], "little") - size)
    unnamed = unnamed[:140] + length + unnamed[144:name] + unnamed[name + size :]
    yield Cell("DICOM compressed without a syntax", unnamed, refused="does not say how")
