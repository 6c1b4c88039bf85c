"""DICOM files of every way to say how they are to be shown."""

import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from pixels.cell import _RNG, SIDE, Cell, ramp
from pixels.dicom import dicom, grouped, linear
from pixels.readers import by_pydicom, simpleitk


def dicom_display_cells():
    gdcm = simpleitk(".dcm")
    twelve, base = ramp("u2", bits=12), {"BitsStored": 12}
    enhanced = {"sop": "1.2.840.10008.5.1.4.1.1.2.1", "NumberOfFrames": 1, **base}
    hu = twelve * 2.0 - 1024
    for shared, each in ((("rescaling", "window"), ()), ((), ("rescaling", "window")), (("rescaling",), ("window",))):
        content = dicom(twelve, **enhanced, **grouped(shared, each))
        name = f"DICOM enhanced, shared {shared}, per frame {each}"
        yield Cell(name, content, readers=(gdcm,), samples=hu, shown=linear(40, 400))
        yield Cell(
            f"{name}, own window", content, readers=(gdcm,), samples=hu, shown=linear(0, 1000), window=(0.0, 1000.0)
        )
    both = dicom(twelve, **enhanced, **grouped(("rescaling",)), RescaleSlope=1, RescaleIntercept=0)
    yield Cell("DICOM enhanced and classic", both, refused="two values of Rescale")
    rescaling = {"RescaleSlope": 2, "RescaleIntercept": -1024}
    first = dicom(twelve, **base, **rescaling, WindowCenter=[40, 500], WindowWidth=[400, 2000])
    yield Cell("DICOM two windows", first, (gdcm, by_pydicom), shown=linear(40, 400))
    yield Cell("DICOM slope alone", dicom(twelve, RescaleSlope=2, **base), (gdcm,), samples=twelve * 2.0)
    yield Cell("DICOM empty rescaling", dicom(twelve, RescaleSlope=None, RescaleIntercept=None, **base), samples=twelve)
    yield Cell("DICOM slope 0", dicom(twelve, RescaleSlope=0, RescaleIntercept=1, **base), refused="RescaleSlope 0")
    empty = dicom(twelve, WindowCenter=None, WindowWidth=None, **base)
    yield Cell("DICOM empty window", empty, (gdcm, by_pydicom))
    for function, shown in (
        ("LINEAR_EXACT", lambda x: ((x - 2000) / 800 + 0.5) * 255),
        ("SIGMOID", lambda x: 255 / (1 + np.exp(-4 * (x - 2000) / 800))),
    ):
        content = dicom(twelve, WindowCenter=2000, WindowWidth=800, VOILUTFunction=function, **base)
        yield Cell(f"DICOM {function}", content, (gdcm, by_pydicom), shown=lambda x, f=shown: np.clip(f(x), 0, 255))
    odd = {"WindowCenter": 2000, "WindowWidth": 800, "VOILUTFunction": "CUBIC"}
    yield Cell("DICOM unknown function", dicom(twelve, **odd, **base), refused="unknown function")
    yield Cell("DICOM window of width 0", dicom(twelve, WindowCenter=5, WindowWidth=0, **base), refused="width 0")
    for bits in (8, 12, 16):
        table = Dataset()
        entries = np.floor((np.arange(4096) / 4095) ** 2 * (2**bits - 1))
        table.add_new("LUTDescriptor", "US", [4096, 0, bits])
        table.add_new("LUTData", "US", entries.astype(int).tolist())
        content = dicom(twelve, VOILUTSequence=[table], **base)
        yield Cell(
            f"DICOM table of {bits} bits",
            content,
            (gdcm, by_pydicom),
            shown=lambda x, e=entries, b=bits: e[x.astype(int)] * 255 / (2**b - 1),
        )
    modality = Dataset()
    modality.add_new("LUTDescriptor", "US", [4096, 0, 16])
    modality.add_new("LUTData", "US", [65535 - 16 * i for i in range(4096)])
    modality.ModalityLUTType = "US"
    content = dicom(twelve, ModalityLUTSequence=[modality], **base)
    yield Cell("DICOM modality table", content, (by_pydicom,), samples=65535 - 16 * twelve)
    eight = ramp("u1")
    content = dicom(eight, RescaleSlope=-1, RescaleIntercept=255)
    yield Cell("DICOM of 8 bits, slope -1", content, samples=255.0 - eight, shown=lambda x: x)
    modality.LUTDescriptor = [256, 0, 16]
    modality.LUTData = [65535 - 255 * i for i in range(256)]
    content = dicom(eight, ModalityLUTSequence=[modality])
    yield Cell("DICOM of 8 bits, modality table", content, samples=65535 - 255 * eight.astype("u2"))
    for kind, padding, last in (("u2", 60000, None), ("u2", 60000, 60010), ("i2", -2000, None), ("i2", 63536, None)):
        samples = ramp(kind, bits=12)
        samples[:, :6] = padding - (65536 if kind == "i2" and padding > 0 else 0)
        samples[:, :2] += 0 if last is None else last - padding
        content = dicom(samples, PixelRepresentation=int(kind == "i2"))
        dataset = pydicom.dcmread(io.BytesIO(content))
        representation = "SS" if padding < 0 else "US"
        dataset.add_new("PixelPaddingValue", representation, padding)
        if last is not None:
            dataset.add_new("PixelPaddingRangeLimit", representation, last)
        file = io.BytesIO()
        dataset.save_as(file)
        yield Cell(
            f"DICOM padding {kind} {padding} {last}", file.getvalue(), (gdcm, by_pydicom), shown=_without_padding
        )
    rubbish = ramp("u2", bits=12) | (_RNG.integers(0, 16, (SIDE, SIDE)) << 12).astype(np.uint16)
    yield Cell("DICOM rubbish in unused bits", dicom(rubbish, **base), (gdcm, by_pydicom))
    yield Cell("DICOM high bit 15 of 12", dicom(twelve << 4, HighBit=15, **base), refused="HighBit 15 of 12")


def _without_padding(values):
    kept = values[:, 6:]
    low, high = np.percentile(kept, (0.5, 99.5))
    return np.clip((values - low) / (high - low), 0, 1) * 255
