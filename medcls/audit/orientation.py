"""The eight ways to lay a square image: four quarter turns, each also mirrored.

An orientation is a number from 0 to 7: 4 transposes, then 2 mirrors top to bottom and 1 left to right.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = range(8)
NAMES = (
    "",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180°",
    "mirrored at the diagonal",
    "turned by 90°",
    "turned by 270°",
    "mirrored at the other diagonal",
)


def turned(images: NDArray[Any], orientation: int) -> NDArray[Any]:
    """View of square images (..., S, S) laid in another orientation."""
    if orientation & 4:
        images = np.swapaxes(images, -1, -2)
    if orientation & 2:
        images = images[..., ::-1, :]
    if orientation & 1:
        images = images[..., ::-1]
    return images


def turned_bits(bits: NDArray[np.bool_], orientation: int) -> NDArray[np.bool_]:
    """Perceptual hashes (N, B, B) as they would be, up to a few bits, if the images were ``turned`` first.

    A bit says whether a coefficient of the cosine transform exceeds their median, which is near 0. Mirroring changes
    the sign of the odd frequencies along an axis; transposing the image transposes the coefficients.
    """
    if orientation & 4:
        bits = np.swapaxes(bits, -1, -2)
    odd = np.arange(bits.shape[-1]) % 2 == 1
    if orientation & 2:
        bits = bits ^ odd[:, None]
    if orientation & 1:
        bits = bits ^ odd
    return bits
