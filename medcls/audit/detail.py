"""The detail of an image: what is left of it without its brightness, its contrast and its coarse shape."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 128  # pixels per side at which images are compared, whatever the size that a net is trained on

Plane = NDArray[np.float32]

_WINDOW = SIDE / 16  # pixels, standard deviation of the neighborhood that detail is measured against
_NOISE = 1.0  # gray levels that compression alone leaves in an even area
_LARGEST = 3.0  # an edge of a frame or a letter counts for no more than this many standard deviations
_FLAT = 8  # gray levels: images with less between their darkest and brightest pixel are blank


def blurred(plane: Plane, sigma: float) -> Plane:
    """An image smoothed by a Gaussian of ``sigma`` pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def detail(image: NDArray[np.uint8]) -> tuple[Plane, NDArray[np.bool_]]:
    """Detail (S, S) of a gray image (S, S), about -3 to 3, and where there is any.

    Local contrast normalization: less the mean of its surroundings, in units of their standard deviation, so that a
    radiograph of little contrast in a bright frame weighs as much as the frame.
    """
    shade = image.astype(np.float32)
    rest = blurred(shade, 0.6) - blurred(shade, _WINDOW)
    spread = np.sqrt(blurred(rest * rest, _WINDOW))
    return np.clip(rest / (spread + _NOISE), -_LARGEST, _LARGEST), np.asarray(spread > _NOISE)


def as_levels(plane: Plane) -> NDArray[np.uint8]:
    """Detail as gray levels, 128 where there is none."""
    return np.rint(plane * 42 + 128).clip(0, 255).astype(np.uint8)


Pixels = TypeVar("Pixels", bound=np.generic)


def mirrored(plane: NDArray[Pixels]) -> NDArray[Pixels]:
    """An image (S, S) mirrored left to right."""
    return np.ascontiguousarray(plane[:, ::-1])


def is_flat(image: NDArray[np.uint8]) -> bool:
    """Whether an image is blank: a single gray level, give or take a few."""
    return int(image.max()) - int(image.min()) < _FLAT
