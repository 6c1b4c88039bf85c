"""What the images of a trained net went through, and files made into such images again."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from medcls.formats.budget import FILES
from medcls.formats.decode import decode
from medcls.formats.gray import Window
from medcls.formats.kinds import is_dicom
from medcls.formats.unreadable import UnreadableImage
from medcls.runs.run import read_config
from medcls.sources.cache import LARGEST_PIXEL
from medcls.training.classifier import Classifier


class Preprocessing(NamedTuple):
    """What a net's images went through; ``window``: of DICOM, None where that is unknown."""

    image_size: int
    channels: int
    window: Window | None


def preprocessing_of(module: Classifier, checkpoint: Path) -> Preprocessing:
    """What the checkpoint says; of older ones the run folder around it knows the window of DICOM."""
    window = module.hparams.get("window")
    if window is None:
        data = (read_config(checkpoint.absolute().parent.parent) or {}).get("data")
        window = data.get("window") if isinstance(data, dict) else None
    return Preprocessing(module.hparams["image_size"], module.hparams["channels"], known_window(window))


def known_window(value: Any) -> Window | None:
    """A window as a file that anybody may have written names it; None for anything else."""
    if value in ("file", "percentiles"):
        return cast(Window, value)
    numbers = isinstance(value, list | tuple) and [of for of in value if isinstance(of, int | float)]
    return (float(numbers[0]), float(numbers[1])) if numbers and len(numbers) == len(value) == 2 else None


def read_image(path: Path, how: Preprocessing, max_pixels: int) -> NDArray[np.uint8] | str:
    """Image (image_size, image_size, channels) of a file, by the decoder of training; or why it cannot be read."""
    try:
        if not path.is_file():
            return "not a file" if path.exists() else "no such file"
        size = path.stat().st_size
        if size > LARGEST_PIXEL * max_pixels:
            return f"too large, {size:,} bytes (max_pixels={max_pixels:,})"
        with FILES.of(size):
            content = path.read_bytes()
            if how.window is None and is_dicom(content):
                return "a DICOM file, and the checkpoint does not say with which data.window; give it in its run folder"
            return decode(
                content,
                image_size=how.image_size,
                channels=how.channels,
                max_pixels=max_pixels,
                window=how.window or "file",
            )
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    except UnreadableImage as error:
        return error.reason
