"""The eight orientations of a square image: four rotations by quarter turns, each also mirrored.

An orientation is a number from 0 to 7, a sum of bits: 4 transposes, then 2 mirrors top to bottom and 1 left to right.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = range(8)
NAMES = (
    "",
    "mirrored left to right",
    "mirrored top to bottom",
    "rotated by 180°",
    "mirrored along the diagonal",
    "rotated by 90°",
    "rotated by 270°",
    "mirrored along the other diagonal",
)


def oriented(images: NDArray[Any], orientation: int) -> NDArray[Any]:
    """View of square images (..., S, S) in another orientation."""
    if orientation & 4:
        images = np.swapaxes(images, -1, -2)
    if orientation & 2:
        images = images[..., ::-1, :]
    if orientation & 1:
        images = images[..., ::-1]
    return images
