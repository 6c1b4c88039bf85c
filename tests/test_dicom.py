"""DICOM files, held to SimpleITK (GDCM) and to pydicom's own windowing; files of hospitals' odd kinds, named."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pydicom
import pytest
from conftest import TINY, split_config
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    generate_uid,
)

from medcls.formats.budget import Admission
from medcls.formats.decode import UnreadableImage, decode
from medcls.formats.dicom import read_dicom
from medcls.formats.gray import Gray
from medcls.sources.image_folder import find_files, scan_folder

# Shipped inside the package: one of each compression and kind of pixel.
UNCOMPRESSED = ["CT_small", "MR_small", "MR_small_bigendian", "MR_small_implicit", "image_dfl", "examples_overlay"]
BUILT_IN = ["MR_small_RLE", "SC_rgb_rle", "SC_rgb_small_odd", "SC_ybr_full_422_uncompressed", "examples_palette"]
OPENJPEG = ["JPEG2000", "MR_small_jp2klossless", "examples_jpeg2k", "GDCMJ2K_TextGBR"]
JPEG_LS = ["MR_small_jpeg_ls_lossless", "JPEGLSNearLossless_16"]
LIBJPEG = ["SC_rgb_jpeg_gdcm", "SC_rgb_jpeg_dcmtk"]


def content_of(name):
    path = get_testdata_file(f"{name}.dcm", download=False)
    with open(path, "rb") as file:
        return file.read()


def needs_plugins(name):
    for plugin, names in (("openjpeg", OPENJPEG), ("jpeg_ls", JPEG_LS), ("libjpeg", LIBJPEG)):
        if name in names:
            pytest.importorskip(plugin, reason="needs the extra dicom")


def read(content, window="percentiles", max_pixels=10**8):
    with Admission(max_pixels) as admit:
        image = read_dicom(content, admit=admit, window=window)
        return image.shown() if isinstance(image, Gray) else np.asarray(image)


@pytest.mark.parametrize("name", UNCOMPRESSED + BUILT_IN + OPENJPEG + JPEG_LS + LIBJPEG)
def test_pixels_are_those_of_an_independent_reader(name):
    simpleitk = pytest.importorskip("SimpleITK")
    needs_plugins(name)
    expected = np.squeeze(simpleitk.GetArrayFromImage(simpleitk.ReadImage(get_testdata_file(f"{name}.dcm"))))
    ours = read(content_of(name))
    if ours.ndim == 2:  # in the unit of the image, rescaled; ours between its percentiles
        low, high = np.percentile(expected, (0.5, 99.5))
        expected = np.clip((expected - low) / (high - low), 0, 1) * 255
    assert ours.shape == expected.shape
    assert np.abs(ours.astype(float) - expected).max() <= 0.01


def make(pixels, **changes):
    """Bytes of a DICOM file with these stored gray values and these elements besides."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = changes.pop("syntax", ExplicitVRLittleEndian)
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for name, value in changes.items():
        setattr(dataset, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


STORED = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
WINDOW = {"RescaleSlope": 0.5, "RescaleIntercept": -300, "WindowCenter": 40, "WindowWidth": 400}


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_window_of_the_file_is_applied_as_pydicom_does(function):
    content = make(STORED, **WINDOW, VOILUTFunction=function)
    dataset = pydicom.dcmread(io.BytesIO(content))
    reference = apply_voi_lut(STORED * 0.5 - 300, dataset)
    low, high = -300, (2**16 - 1) * 0.5 - 300  # the range that pydicom fills
    expected = (reference - low) / (high - low) * 255
    assert np.abs(read(content, "file") - expected).max() <= 0.01
    np.testing.assert_allclose(read(make(STORED, **WINDOW), (40.0, 400.0)), read(make(STORED, **WINDOW), "file"))
    assert np.abs(read(content, (0.0, 100.0)) - read(content, "file")).max() > 50


def test_first_of_several_windows_is_taken():
    content = make(STORED, **WINDOW | {"WindowCenter": [40, 500], "WindowWidth": [400, 1500]})
    np.testing.assert_array_equal(read(content, "file"), read(make(STORED, **WINDOW), "file"))


def test_table_of_the_file_goes_before_its_window():
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 12])
    table.add_new("LUTData", "US", list(range(4095, -1, -1)))
    shown = read(make(STORED, VOILUTSequence=[table], WindowCenter=9, WindowWidth=9), "file")
    assert np.abs(shown - (4095 - STORED.astype(float)) / 4095 * 255).max() <= 0.01


def test_file_without_window_is_shown_between_its_percentiles_without_padding():
    low, high = np.percentile(STORED, (0.5, 99.5))
    expected = np.clip((STORED - low) / (high - low), 0, 1) * 255
    assert np.abs(read(make(STORED), "file") - expected).max() <= 0.01
    padded = STORED.copy()
    padded[:, :20] = 60000
    shown = read(make(padded, PixelPaddingValue=60000), "file")
    low, high = np.percentile(STORED[:, 20:], (0.5, 99.5))
    assert np.abs(shown[:, 20:] - np.clip((STORED[:, 20:] - low) / (high - low), 0, 1) * 255).max() <= 0.01


def test_eight_bits_without_window_stay_as_they_are():
    pixels = np.arange(30, 94, dtype=np.uint8).reshape(8, 8)
    np.testing.assert_array_equal(read(make(pixels), "file"), pixels)


@pytest.mark.parametrize("window", ["file", "percentiles", (100.0, 900.0)])
def test_monochrome1_is_inverted(window):
    usual = read(make(STORED, **WINDOW), window)
    inverted = read(make(STORED, **WINDOW, PhotometricInterpretation="MONOCHROME1"), window)
    np.testing.assert_allclose(inverted, 255 - usual, atol=1e-4)
    assert inverted[0, 0] > inverted[-1, -1]


def j2k_of(width, height):
    """Beginning of a JPEG 2000 stream that claims a size."""
    size = b"".join(number.to_bytes(4, "big") for number in (width, height, 0, 0, width, height, 0, 0))
    return b"\xff\x4f\xff\x51\x00\x29\x00\x00" + size + b"\x00\x01\x07\x01\x01" + b"\xff\xd9"


def bomb():
    """Deflated file of some kilobytes that inflates to 400 MB."""
    start = make(STORED, syntax=DeflatedExplicitVRLittleEndian)
    dataset = 144 + int.from_bytes(start[140:144], "little")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return start[:dataset] + b"".join(deflate.compress(bytes(2**22)) for _ in range(100)) + deflate.flush()


def with_header(elements, content=None):
    """File with raw elements put in front of its own, as a doctored file would have them."""
    content = make(STORED) if content is None else content
    dataset = 144 + int.from_bytes(content[140:144], "little")
    return content[:dataset] + elements + content[dataset:]


def tiny_elements(count):
    return b"".join(struct.pack("<HH2sH", 9, 0x1000 + i % 0xE000, b"LO", 0) for i in range(count))


def empty_items(count):
    start = struct.pack("<HH4sI", 0x28, 0x3010, b"SQ\0\0", 0xFFFFFFFF)
    return start + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * count + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


NESTED = struct.pack("<HH4sI", 0x28, 0x3010, b"SQ\0\0", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)


@pytest.mark.parametrize(
    ("make_content", "reason"),
    [
        (lambda: with_header(tiny_elements(60_000)), "a header of more than 20,000 pieces (data.max_pixels)"),
        (lambda: with_header(empty_items(60_000)), "a header of more than 20,000 pieces (data.max_pixels)"),
        (lambda: with_header(struct.pack("<HH4sI", 9, 0x1010, b"OB\0\0", 0xFFFFFFF0)), "without an image"),
        (lambda: with_header(NESTED * 50_000), "recursion"),
        (lambda: make(STORED, NumberOfFrames=30), "a DICOM file of 30 frames"),
        (lambda: content_of("SC_rgb_rle_2frame"), "a DICOM file of 2 frames"),
        (lambda: content_of("rtplan"), "a DICOM file without an image"),
        (
            lambda: make(STORED, Rows=65535, Columns=65535),
            "too many pixels, 65,535 x 65,535 (data.max_pixels=10,000,000)",
        ),
        (bomb, "inflates to more than 40,000,000 bytes (data.max_pixels)"),
        (
            lambda: make(STORED, PixelData=encapsulate([j2k_of(60000, 60000)]), syntax=JPEG2000Lossless),
            "damaged (compressed pixels (60000, 60000), header (64, 64))",
        ),
        (
            lambda: make(STORED, PixelData=encapsulate([b"\xff\xd8\xff\xe0 cut"]), syntax=JPEGBaseline8Bit),
            "of compressed pixels",
        ),
        (lambda: make(STORED, PixelData=encapsulate([b"film"]), syntax=MPEG2MPML), "no plug-in for it; pip install"),
        (lambda: content_of("CT_small")[:-200], "truncated after"),
        (lambda: make(STORED, **WINDOW | {"WindowWidth": 0}), "damaged (window of center 40.0 and width 0.0)"),
        (lambda: bytes(128) + b"DICM" + bytes(50), ""),
        (lambda: bytes(128) + b"DICM", ""),
    ],
)
def test_dicom_file_that_is_no_single_image_is_refused_by_name(make_content, reason):
    with pytest.raises(UnreadableImage) as caught:
        decode(make_content(), image_size=32, channels=1, max_pixels=10_000_000)
    assert reason in caught.value.reason


def test_limit_of_a_long_header_can_be_raised():
    content = with_header(tiny_elements(30_000))
    with pytest.raises(UnreadableImage, match="a header of more than 20,000 pieces"):
        decode(content, image_size=32, channels=1, max_pixels=10_000_000)
    decoded = decode(content, image_size=32, channels=1, max_pixels=200_000_000)
    np.testing.assert_array_equal(decoded, decode(make(STORED), image_size=32, channels=1))


def test_missing_plug_in_is_named_and_asked_for_again_next_time(tmp_path):
    code = f"""
        import sys
        for name in ("pylibjpeg", "libjpeg", "openjpeg", "PIL.Jpeg2KImagePlugin", "gdcm", "jpeg_ls"):
            sys.modules[name] = None
        from medcls.formats.decode import UnreadableImage, decode
        try:
            decode(open({get_testdata_file("MR_small_jpeg_ls_lossless.dcm")!r}, "rb").read(), image_size=8, channels=1)
        except UnreadableImage as error:
            print(error.reason, error.lasting)
    """
    code = "\n".join(line[8:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "JPEG-LS Lossless Image Compression: no plug-in for it; pip install 'medcls[dicom]' False\n"


def test_files_without_ending_count_where_they_carry_the_mark_of_dicom(tmp_path):
    names = ["a/IM000001", "a/1.2.840.113619.2.1", "a/scan.DCM", "a/scan.dicom", "b/1.dcm"]
    others = ["a/README", "a/empty", "a/1.2.3.4", "a/notes.txt", "DICOMDIR"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(make(STORED) if name in names else b"text of more than 132 bytes" * 9)
    (tmp_path / "a/empty").write_bytes(b"")
    assert find_files(tmp_path).names == sorted(names)


@pytest.fixture
def hospital(tmp_path):
    """Folder of DICOM files without ending, of two classes."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 4)):
        for name, level in (("a", 900), ("b", 1100)):
            for i in range(count):
                path = tmp_path / "images" / split / name / f"IM{i:04d}"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.normal(level, 50, (40, 40)).astype(np.int16)
                path.write_bytes(make(pixels, RescaleSlope=1, RescaleIntercept=-1000, WindowCenter=0, WindowWidth=400))
    return tmp_path / "images"


@pytest.mark.slow
def test_folder_of_dicom_files_can_be_trained_on_through_a_window(train, hospital):
    assert scan_folder(hospital, None, split=split_config(0.2)).counts()["train"] == {"a": 6, "b": 6}
    small = [*TINY, "epochs=1", "logger=none", "data=folder", f"data.root={hospital}"]
    result = train(*small, "data.window=[0,300]")
    assert result.status == 0, result.err
    result = train(*small, "data.max_pixels=1000")
    assert result.status == 2
    assert "20 of 20 images cannot be read" in result.err
    assert "too many pixels, 40 x 40 (data.max_pixels=1,000)" in result.err
    assert train(*small).status == 0  # what a limit refused is not remembered as unreadable
    result = train(*small, "data.window=[0,-3]")
    assert "data.window" in result.err
