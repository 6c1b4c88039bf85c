"""Whether two images show the same picture once one is moved and stretched a little, as a second scan or crop would be.

By the enhanced correlation coefficient (Evangelidis & Psarakis, 2008, doi 10.1109/TPAMI.2008.113), as OpenCV has it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.similarity import correlation, thumbnails, usable

SIDE = 128  # pixels a side that images are aligned at: fewer, and unrelated joints look alike once they are aligned
_STEPS = ((SIDE // 2, 8), (SIDE, 25))  # pixels a side and iterations, coarse to fine
_HOPELESS = 0.45  # similarity after the first step, below which the second, ten times dearer one is not worth it
_FURTHEST = 0.12  # of the side, that the centre may move; and of 1, that a side may be stretched or sheared
_MARGIN = SIDE // 16  # what a filter or the move itself brought in from outside the image

Warp = NDArray[np.float32]  # (2, 3)


def aligned_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation of the details of two images (SIDE, SIDE) where ``second`` is moved to fit ``first``.

    0 where no small move makes them fit.
    """
    warp: Warp = np.eye(2, 3, dtype=np.float32)
    similarity = 0.0
    for side, iterations in _STEPS:
        a, b = thumbnails(np.stack([first, second]), side)
        warp[:, 2] *= 2 if side == SIDE else 1
        moved = fitted(a, b, warp, iterations)
        if moved is None or not is_small(moved, side):
            return 0.0
        warp = moved
        similarity = similarity_under(a, b, warp)
        if similarity < _HOPELESS:
            return 0.0
    return similarity


def fitted(first: NDArray[np.uint8], second: NDArray[np.uint8], warp: Warp, iterations: int) -> Warp | None:
    """The affine move, begun with ``warp``, that fits ``second`` to ``first``; None where the search leads nowhere."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
    try:
        found = cv2.findTransformECC(first, second, warp.copy(), cv2.MOTION_AFFINE, stop, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # it did not converge
        return None
    return np.asarray(found[1], np.float32)


def is_small(warp: Warp, side: int) -> bool:
    """Whether a move is small enough for the two to be called the same picture."""
    stretch, centre = warp[:, :2], np.full(2, (side - 1) / 2)
    shift = stretch @ centre + warp[:, 2] - centre
    return bool(np.abs(stretch - np.eye(2)).max() <= _FURTHEST and np.abs(shift).max() <= _FURTHEST * side)


def similarity_under(first: NDArray[np.uint8], second: NDArray[np.uint8], warp: Warp) -> float:
    """Correlation of the details of ``first`` and the moved ``second``, where they overlap."""
    side = len(first)
    flags = cv2.WARP_INVERSE_MAP
    linear, nearest = cv2.INTER_LINEAR | flags, cv2.INTER_NEAREST | flags
    warped = cv2.warpAffine(second, warp, (side, side), flags=linear, borderMode=cv2.BORDER_REPLICATE)
    moved = np.asarray(warped, np.uint8)
    inside = np.asarray(cv2.warpAffine(np.ones_like(second), warp, (side, side), flags=nearest)) > 0
    margin = _MARGIN * side // SIDE
    inside[:margin] = inside[-margin:] = inside[:, :margin] = inside[:, -margin:] = False
    both = inside & usable(first) & usable(moved)
    if both.sum() < inside.sum() / 5:  # mostly black or burnt out: then that is what the picture is
        both = inside
    a, b = (details(image)[both][None] for image in (first, moved))
    return float(correlation(a, b, np.ones(a.shape, bool))[0])


def details(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What is left of an image (S, S) without its coarse shape."""
    shade = image.astype(np.float32)
    return shade - np.asarray(cv2.GaussianBlur(shade, (0, 0), len(image) / 64))
