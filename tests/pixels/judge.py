"""What becomes of damaged files, in a process of its own: refused, equal to an independent reader, or different."""

import contextlib
import resource
import signal
import sys

from PIL.TiffImagePlugin import TiffImageFile

from medcls.formats.budget import Admission
from medcls.formats.decode import UnreadableImage, decode, read
from pixels.comparison import as_array, same
from pixels.mutants import mutants
from pixels.readers import by_pydicom, by_tifffile, libpng, libtiff, opencv, pillow_alone, simpleitk

READERS = {
    "PNG": (libpng, opencv),
    "TIFF": (libtiff, by_tifffile, opencv, pillow_alone),
    "DICOM": (simpleitk(".dcm"), by_pydicom),
}


def judged(kind, content):
    """refused, equal, different, or alone: read by none of the others."""
    try:
        decode(content, image_size=8, channels=1, max_pixels=10**6)
        with Admission(10**6) as admit:
            image, _ = read(content, "RGB", admit, "percentiles")
            samples = as_array(image)
    except UnreadableImage as error:
        return f"refused: {error.reason}"
    found = []
    # No reader is asked about what its own library has read here.
    own = (pillow_alone,) if isinstance(image, TiffImageFile) else (by_tifffile,)
    for reader in [reader for reader in READERS[kind] if reader not in own]:
        with contextlib.suppress(Exception):
            if (reference := reader(content)) is not None:
                found.append(reference)
    if not found:
        return "alone"
    return "equal" if any(same(samples, reference, 0) for reference in found) else "different"


if __name__ == "__main__":
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for cell, content in mutants(count, seed):
        signal.alarm(20)  # without a handler it ends the process, whatever a decoder does
        print(f"{cell.name}\t{judged(cell.name.split()[0], content)}", flush=True)
