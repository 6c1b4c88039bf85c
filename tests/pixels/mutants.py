"""Files damaged with care: every length and checksum is right but for the one thing that was changed."""

import io
import random
import struct

import pydicom
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from pixels import cells
from pixels.png import png_chunk

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 12, 16, 23, 25, 32, 48, 255, 256, 4096, 65535)


def near(value, rng):
    """Another number, most often one that could be meant."""
    return max(0, rng.choice((value + 1, value - 1, 2 * value, value // 2, rng.choice(NUMBERS))))


def png_mutant(content, rng):
    """One chunk changed, dropped, doubled, moved or added; checksums are right."""
    chunks, at = [], 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], bytearray(content[at + 8 : at + 8 + size])))
        at += 12 + size
    i = rng.randrange(len(chunks))
    kind, data = chunks[i]
    what = rng.choice(("header", "header", "cut", "flip", "flip", "drop", "double", "move", "add"))
    if what == "header":
        data = chunks[0][1]
        field = rng.randrange(6)
        if field < 2:
            data[4 * field : 4 * field + 4] = struct.pack(">I", near(24, rng))
        else:
            data[6 + field] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16))
    elif what == "cut" and data:
        del data[rng.randrange(len(data)) :]
    elif what == "flip" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif what == "drop":
        del chunks[i]
    elif what == "double":
        chunks.insert(i, (kind, data))
    elif what == "move":
        chunks.insert(rng.randrange(len(chunks)), chunks.pop(i))
    else:
        chunks.insert(
            i, (rng.choice((b"gAMA", b"tRNS", b"sBIT", b"ABCD", b"abCd", b"PLTE")), bytearray(rng.randbytes(6)))
        )
    return content[:8] + b"".join(png_chunk(kind, bytes(data)) for kind, data in chunks)


def tiff_mutant(content, rng):
    """One or two entries of the first directory changed, dropped or doubled."""
    order = "<" if content[:2] == b"II" else ">"
    start = struct.unpack(order + "I", content[4:8])[0]
    count = struct.unpack(order + "H", content[start : start + 2])[0]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2))):
        entry = start + 2 + 12 * rng.randrange(count)
        tag, kind, number, value = struct.unpack(order + "HHII", changed[entry : entry + 12])
        short = kind == 3 and number == 1
        if short:
            value = struct.unpack(order + "H", changed[entry + 8 : entry + 10])[0]
        what = rng.choice(("value", "value", "value", "count", "kind", "tag"))
        if what == "value":
            value = near(value, rng)
        elif what == "count":
            number = near(number, rng)
        elif what == "kind":
            kind = rng.choice((1, 2, 3, 4, 8, 12, 16))
        else:
            tag = rng.choice((255, 266, 274, 317, 338, 339, 284, 65000))
        value = struct.pack(order + "HH", value & 0xFFFF, 0) if short else struct.pack(order + "I", value & 0xFFFFFFFF)
        changed[entry : entry + 12] = struct.pack(order + "HHI", tag, kind, number) + value
    return bytes(changed)


def dicom_mutant(content, rng):
    """One or two elements changed, or the pixels' length, or the name of how they are written."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    if not dataset.file_meta.get("TransferSyntaxUID"):
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if dataset.is_implicit_VR else ExplicitVRLittleEndian
        )
    for _ in range(rng.choice((1, 1, 2))):
        names = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel")
        names += ("PhotometricInterpretation", "PlanarConfiguration", "RescaleSlope", "RescaleIntercept", "PixelData")
        name = rng.choice(names)
        if name == "PhotometricInterpretation":
            dataset.PhotometricInterpretation = rng.choice(
                ("MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "HSV", "ARGB")
            )
        elif name.startswith("Rescale"):
            dataset.RescaleSlope = rng.choice((-3, 0, 0.25, 1))
            dataset.RescaleIntercept = rng.choice((0, 7, -1024))
        elif name == "PixelData":
            data = bytearray(dataset.PixelData)
            data[rng.randrange(16, len(data))] ^= 1 << rng.randrange(8)  # behind what says that it is encapsulated
            cut = data[: 2 * rng.randrange(8, len(data) // 2)]
            dataset.PixelData = bytes(rng.choice((data, data, cut, data + data[:90])))
        else:
            setattr(dataset, name, near(int(dataset.get(name) or 0), rng) & 0xFFFF)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    whole = file.getvalue()
    if rng.random() < 0.1:
        name = dataset.file_meta.TransferSyntaxUID.encode()
        syntaxes = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless)
        others = [other for syntax in syntaxes if len(other := syntax.encode()) == len(name)]
        whole = whole.replace(name, rng.choice(others or [name]), 1)
    return whole


MUTATORS = {"PNG": png_mutant, "TIFF": tiff_mutant, "DICOM": dicom_mutant}


def mutants(count, seed):
    """Pairs of (the cell that it was, the damaged file), as many of each format."""
    rng = random.Random(seed)
    good = [cell for cell in cells() if cell.name.startswith(tuple(MUTATORS)) and not cell.refused]
    by_format = {kind: [cell for cell in good if cell.name.startswith(kind)] for kind in MUTATORS}
    for i in range(count):
        kind = list(MUTATORS)[i % len(MUTATORS)]
        cell = rng.choice(by_format[kind])
        yield cell, MUTATORS[kind](cell.content, rng)
