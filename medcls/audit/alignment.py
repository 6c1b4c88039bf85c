"""Whether two images show the same picture once one is shifted and stretched a little, as in a second scan or a crop.

By the enhanced correlation coefficient (Evangelidis & Psarakis, 2008, doi 10.1109/TPAMI.2008.113), in OpenCV's version.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.similarity import correlation, thumbnails, usable

SIDE = 128  # pixels per side at which images are aligned: with fewer, unrelated joints look alike once aligned
_STEPS = ((SIDE // 2, 8), (SIDE, 25))  # pixels per side and iterations, coarse to fine
_HOPELESS = 0.45  # similarity after the first step below which the second, ten times as expensive, is skipped
_LARGEST = 0.12  # shift of the centre, as a fraction of the side; and stretch or shear of a side of length 1
_MARGIN = SIDE // 16  # pixels that a filter or the shift itself may have brought in from outside the image

Warp = NDArray[np.float32]  # (2, 3)


def aligned_similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Correlation of the details of two images (SIDE, SIDE) after ``second`` is aligned to ``first``.

    0 if no small transform aligns them.
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
    """Affine transform that aligns ``second`` to ``first``, searched from ``warp``; None if it does not converge."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, iterations, 1e-4)
    try:
        found = cv2.findTransformECC(first, second, warp.copy(), cv2.MOTION_AFFINE, stop, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # it did not converge
        return None
    return np.asarray(found[1], np.float32)


def is_small(warp: Warp, side: int) -> bool:
    """Whether a transform is small enough for the two to be called the same picture."""
    stretch, centre = warp[:, :2], np.full(2, (side - 1) / 2)
    shift = stretch @ centre + warp[:, 2] - centre
    return bool(np.abs(stretch - np.eye(2)).max() <= _LARGEST and np.abs(shift).max() <= _LARGEST * side)


def similarity_under(first: NDArray[np.uint8], second: NDArray[np.uint8], warp: Warp) -> float:
    """Correlation of the details of ``first`` and the transformed ``second``, where they overlap."""
    side = len(first)
    flags = cv2.WARP_INVERSE_MAP
    linear, nearest = cv2.INTER_LINEAR | flags, cv2.INTER_NEAREST | flags
    warped = cv2.warpAffine(second, warp, (side, side), flags=linear, borderMode=cv2.BORDER_REPLICATE)
    moved = np.asarray(warped, np.uint8)
    inside = np.asarray(cv2.warpAffine(np.ones_like(second), warp, (side, side), flags=nearest)) > 0
    margin = _MARGIN * side // SIDE
    inside[:margin] = inside[-margin:] = inside[:, :margin] = inside[:, -margin:] = False
    both = inside & usable(first) & usable(moved)
    if both.sum() < inside.sum() / 5:  # mostly black or overexposed: then that is the picture
        both = inside
    a, b = (details(image)[both][None] for image in (first, moved))
    return float(correlation(a, b, np.ones(a.shape, bool))[0])


def details(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An image (S, S) minus its coarse shape."""
    shade = image.astype(np.float32)
    return shade - np.asarray(cv2.GaussianBlur(shade, (0, 0), len(image) / 64))
