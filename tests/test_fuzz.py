"""Damaged files of every format, decoded under limits of time and memory: each is loaded or named, none does harm."""

import io
import os
import random
import struct
import subprocess
import sys
import textwrap
import zlib
from importlib.util import find_spec

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from medcls.sources.cache import load_images

SECONDS, MEGABYTES = 20, 2500  # a file; the whole process, of which the imports take the first 300

DICOM = ["CT_small", "MR_small", "MR_small_bigendian", "MR_small_RLE", "SC_rgb_rle", "examples_palette", "image_dfl"]
DICOM += ["JPEG2000"] if find_spec("openjpeg") else []
if find_spec("libjpeg"):
    DICOM += ["MR_small_jpeg_ls_lossless", "SC_rgb_jpeg_gdcm", "SC_rgb_jpeg_dcmtk", "JPGExtended"]


def originals():
    """Name -> content of one whole file of each format and kind of pixels."""
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(90)[:, None, None] / (5, 7, 9) + np.arange(70)[None, :, None] / 11) * 100 + 128
    colour = Image.fromarray((waves + rng.normal(0, 5, waves.shape)).clip(0, 255).astype(np.uint8))
    gray, deep = colour.convert("L"), Image.fromarray((waves[..., 0] * 200).astype(np.uint16))
    kinds = {
        "baseline.jpg": (colour, "JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"}),
        "progressive.jpeg": (colour, "JPEG", {"progressive": True}),
        "gray.jpg": (gray, "JPEG", {}),
        "cmyk.jpg": (colour.convert("CMYK"), "JPEG", {}),
        "colour.png": (colour, "PNG", {}),
        "palette.png": (colour.quantize(16), "PNG", {}),
        "alpha.png": (colour.convert("RGBA"), "PNG", {}),
        "deep.png": (deep, "PNG", {}),
        "plain.tif": (colour, "TIFF", {}),
        "lzw.tif": (gray, "TIFF", {"compression": "tiff_lzw"}),
        "deflate.tiff": (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "jpeg.tiff": (colour, "TIFF", {"compression": "jpeg"}),
        "fax.tif": (gray.convert("1"), "TIFF", {"compression": "group4"}),
        "float.tif": (Image.fromarray(waves[..., 0].astype(np.float32)), "TIFF", {}),
        "colour.bmp": (colour, "BMP", {}),
        "palette.bmp": (colour.quantize(16), "BMP", {}),
    }
    files = {}
    for name, (image, kind, options) in kinds.items():
        content = io.BytesIO()
        image.save(content, kind, **options)
        files[name] = content.getvalue()
    for name in DICOM:
        with open(get_testdata_file(f"{name}.dcm", download=False), "rb") as file:
            files[f"{name}.dcm"] = file.read()
    return files


def truncated(content, rng, _):
    return content[: rng.randrange(len(content))]


def flipped(content, rng, _):
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 3, 20))):
        damaged[int(len(damaged) * rng.random() ** 3)] ^= 1 << rng.randrange(8)  # mostly in the header
    return bytes(damaged)


def wrong_magic(content, rng, others):
    other = rng.choice(others)
    size = rng.choice((2, 4, 8, 140))
    return other[:size] + content[size:]


def spliced(content, rng, others):
    other = rng.choice(others)
    return content[: rng.randrange(len(content))] + other[rng.randrange(len(other)) :]


def zeroed(content, rng, _):
    start, size = rng.randrange(len(content)), rng.randrange(1, len(content))
    return content[:start] + bytes(len(content[start : start + size])) + content[start + size :]


def absurd_header(content, rng, _):
    number = rng.choice((0, 1, 0x7FFF, 0xFFFF, 60_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
    if content.startswith(b"\x89PNG") and rng.random() < 0.7:
        return with_png_size(content, rng.choice((number, 30_000)), rng.choice((1, 30_000, number)))
    if content[128:132] == b"DICM" and rng.random() < 0.7:
        return with_element(content, rng, number)
    size = rng.choice((2, 4))
    position = rng.randrange(2, min(len(content) - 4, 900))
    return content[:position] + struct.pack("<Q", number)[:size] + content[position + size :]


def with_png_size(content, width, height):
    """PNG that claims a size, with the checksum that makes it believable."""
    header = b"IHDR" + struct.pack(">II", width & 0x7FFFFFFF, height & 0x7FFFFFFF) + content[24:29]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]


def with_element(content, rng, number):
    """DICOM file with an absurd value of an element that sizes depend on."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    names = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    for name in rng.sample(names, rng.choice((1, 2))):
        setattr(dataset, name, number & 0xFFFF)
    if rng.random() < 0.3:
        dataset.NumberOfFrames = number
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def empty(content, rng, others):
    return b""


MUTATIONS = [truncated, flipped, flipped, wrong_magic, spliced, zeroed, absurd_header, absurd_header]


def write_mutants(folder, count, seed):
    """Write ``count`` damaged files; their names, which say what was done."""
    rng, files = random.Random(seed), originals()
    contents, names = list(files.values()), []
    for i in range(count):
        name, content = list(files.items())[i % len(files)]
        mutate = empty if i % 100 == 99 else rng.choice(MUTATIONS)
        names.append(f"{i:04d} {mutate.__name__} {name}")
        (folder / names[-1]).write_bytes(mutate(content, rng, contents))
    return names


CHILD = """
    import resource, signal, sys
    from pathlib import Path
    from medcls.formats.decode import UnreadableImage, decode
    import medcls.formats.dicom
    for limit, most in ((resource.RLIMIT_AS, {megabytes} * 2**20), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (most, most))
    for path in sorted(Path(sys.argv[1]).iterdir()):
        print(path.name, end="\\t", flush=True)
        signal.alarm({seconds})  # without a handler it ends the process, whatever a decoder does
        try:
            print("loaded", decode(path.read_bytes(), image_size=24, channels=1).shape)
        except UnreadableImage as error:
            print(repr(error.reason))
"""


def decode_all(folder):
    """What became of each file, by name; a file that ended the process comes without an answer, and fails the test."""
    code = textwrap.dedent(CHILD.format(megabytes=MEGABYTES, seconds=SECONDS))
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "faulthandler", "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    assert done.returncode == 0, (done.stdout.splitlines()[-1:], done.stderr[-2000:])
    return dict(line.partition("\t")[::2] for line in done.stdout.splitlines())


def check(folder, count, seed):
    names = write_mutants(folder, count, seed)
    answers = decode_all(folder)
    assert sorted(answers) == names
    for name, answer in answers.items():
        assert answer == "loaded (24, 24, 1)" or 3 < len(answer) < 200, (name, answer)
    loaded = [name for name, answer in answers.items() if answer.startswith("loaded")]
    assert 0.1 * count < len(loaded) < 0.8 * count  # neither all is refused nor damage passed over


def test_a_thousand_damaged_files_are_loaded_or_named(tmp_path):
    pytest.importorskip("resource", reason="limits of memory are those of Unix")
    check(tmp_path, 1000, seed=0)


@pytest.mark.slow
def test_thirty_thousand_damaged_files_are_loaded_or_named(tmp_path):
    pytest.importorskip("resource", reason="limits of memory are those of Unix")
    for seed in range(1, 31):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(folder, 1000, seed)


def test_damaged_files_of_a_folder_are_all_accounted_for(tmp_path):
    folder = tmp_path / "mutants"
    folder.mkdir()
    names = write_mutants(folder, 150, seed=0)
    loaded = load_images(folder, names, image_size=24, channels=1, cache_dir=tmp_path / "cache")
    assert sorted([*loaded.names, *loaded.unreadable]) == names


def test_whole_files_of_every_format_are_loaded(tmp_path):
    for name, content in originals().items():
        (tmp_path / name).write_bytes(content)
    assert set(decode_all(tmp_path).values()) == {"loaded (24, 24, 1)"}
