"""Graded edits of an image (H, W, C) of uint8, as a net takes it: the same image and grade give the same pixels."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcls.robustness.schema import RobustnessConfig

Pixels = NDArray[np.uint8]

# Of each edit, what its grades are.
UNITS = {
    "noise": "standard deviation, gray levels of 255",
    "blur": "standard deviation, share of the side",
    "contrast": "factor",
    "jpeg": "quality",
    "rotation": "degrees, counter-clockwise",
}
_NEUTRAL = {"contrast": 1.0, "jpeg": 100.0}  # the grade that leaves an image as it is, 0 of all others
_REACH = 4  # standard deviations to which a Gaussian is computed


class Grade(NamedTuple):
    """An edit and how much of it."""

    edit: str
    value: float

    @property
    def title(self) -> str:
        return self.edit if self == CLEAN else f"{self.edit} {self.value:g}"

    @property
    def strength(self) -> float:
        """How far it goes, below 0 for less contrast, quality or a turn clockwise, which are edits of their own."""
        return self.value - _NEUTRAL.get(self.edit, 0.0)


CLEAN = Grade("clean", 0.0)


def grades_of(config: RobustnessConfig) -> list[Grade]:
    """All grades, those of an edit one after another."""
    return [Grade(edit, float(value)) for edit in UNITS for value in getattr(config, edit)]


def edited(image: Pixels, grade: Grade, key: Sequence[int]) -> Pixels:
    """The image under the edit; ``key``: integers >= 0 that noise depends on, and nothing else (see ``key_of``)."""
    if grade.edit == "noise":
        drawn = np.random.default_rng(key).standard_normal(image.shape, np.float32)
        return _pixels(image + np.float32(grade.value) * drawn)
    if grade.edit == "blur":
        return blurred(image, grade.value * image.shape[0])
    if grade.edit == "contrast":
        mean = image.mean(dtype=np.float64)
        return _pixels(mean + grade.value * (image - mean))
    if grade.edit == "jpeg":
        return compressed(image, int(grade.value))
    return rotated(image, grade.value) if grade.edit == "rotation" else image


def key_of(seed: int, name: str) -> tuple[int, int]:
    """What noise on an image depends on: the same in all batches, folds and orders, and for all standard deviations."""
    return seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def blurred(image: Pixels, sigma: float) -> Pixels:
    """Gaussian blur by ``sigma`` pixels, the image mirrored at its border."""
    size = 2 * int(_REACH * sigma + 0.5) + 1
    found = cv2.GaussianBlur(image.astype(np.float32), (size, size), sigma, borderType=cv2.BORDER_REFLECT)
    return _pixels(found).reshape(image.shape)


def compressed(image: Pixels, quality: int) -> Pixels:
    """What is left after JPEG of ``quality``, colors at half the resolution, as Pillow writes and reads it."""
    content = BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(content, "JPEG", quality=quality)
    with Image.open(content) as found:
        return np.asarray(found, np.uint8).reshape(image.shape)


def rotated(image: Pixels, degrees: float) -> Pixels:
    """The image turned counter-clockwise around its middle, the nearest pixel where it was not."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    found = cv2.warpAffine(
        image.astype(np.float32), turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return _pixels(found).reshape(image.shape)


def _pixels(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
