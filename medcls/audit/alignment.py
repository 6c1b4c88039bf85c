"""Whether two images show the same picture once one is turned, shifted and stretched to lie over the other.

By features that both have, then by the enhanced correlation coefficient (Evangelidis & Psarakis, 2008,
doi 10.1109/TPAMI.2008.113), in OpenCV's version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.detail import SIDE, Plane, detail, mirrored
from medcls.audit.features import Features

Warp = NDArray[np.float32]  # (2, 3): where in the second image a pixel of the first lies
Start = tuple[int, bool, Warp | None]  # another image, whether it is mirrored, and a move to begin with if one is known
Picture = tuple[Plane, NDArray[np.bool_]]  # detail, and where there is any

_SCALES = 0.6, 1.67  # of one image in the other
_APART = 0.025  # of the side: matched features further apart than this after a move do not support it
_LARGEST_STEP = 0.15  # of the side, and of the linear part: what refining may add to a move
_ITERATIONS = 15
_RIM = SIDE // 32  # pixels that a filter or the move itself may have brought in from outside the image
_WHOLE = np.ones((SIDE, SIDE), np.float32)
_SLIVER = np.ones((3, 3), np.uint8)  # pixels: what is narrower than this outside an image brought nothing in
_NEAR = np.ones((SIDE // 4 + 1, SIDE // 4 + 1), np.uint8)  # twice as far as detail is measured against, either way
_LEAST_SEEN = 0.03  # of the pixels, or there is nothing to compare


@dataclass(frozen=True)
class Fit:
    """``similarity``: correlation of the detail of two images under ``warp``; ``overlap``: share that lies in both."""

    warp: Warp
    similarity: float
    overlap: float


class Pictures:
    """Gray images (SIDE, SIDE) with their features, to be laid over one another."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], features: Features | None = None) -> None:
        self.images, self.features = images, features
        self.seen = lru_cache(2000)(self._seen)  # 80 KB each

    def _seen(self, image: int) -> Picture:
        return detail(self.images[image])

    def facing(self, image: int, mirror: bool) -> Picture:
        """Detail of an image, mirrored where asked, and where there is any."""
        plane, there = self.seen(image)
        return (mirrored(plane), mirrored(there)) if mirror else (plane, there)

    def laid(
        self, first: int, second: int, mirror: bool, start: Warp | None = None, *, whole: bool = False
    ) -> Fit | None:
        """The fit of ``second``, mirrored where asked, to ``first``; None if no move is found.

        start: a move to refine, in place of the one that features find. whole: also by what lies beside edges that the
        move may have brought in.
        """
        if start is None and (start := self.matched(first, second, mirror)) is None:
            return None
        a, b = self.seen(first), self.facing(second, mirror)
        # Refining may be led astray.
        return max(
            (fitted(a, b, w, whole) for w in (refined(a, b, start, whole), start)), key=lambda fit: fit.similarity
        )

    def matched(self, first: int, second: int, mirror: bool) -> Warp | None:
        """The move, a rotation with a scale and a shift, that most pairs of mutually nearest features agree on."""
        assert self.features is not None
        (here, a), (there, b) = self.features.of(first), self.features.of(second)
        if mirror:
            there, b = np.stack([1 - there[:, 0], there[:, 1]], axis=1), b * self.features.parity
        if min(len(a), len(b)) < 3:
            return None
        apart = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
        forth, back = apart.argmin(1), apart.argmin(0)
        mutual = np.flatnonzero(back[forth] == np.arange(len(forth)))
        if len(mutual) < 3:
            return None
        found, _ = cv2.estimateAffinePartial2D(
            here[mutual] * SIDE - 0.5,
            there[forth[mutual]] * SIDE - 0.5,
            method=cv2.RANSAC,
            ransacReprojThreshold=_APART * SIDE,
            maxIters=500,
        )
        if found is None or not _SCALES[0] < np.hypot(found[0, 0], found[1, 0]) < _SCALES[1]:
            return None
        return np.asarray(found, np.float32)


def fitted(first: Picture, second: Picture, warp: Warp, whole: bool) -> Fit:
    """How well two images agree under a move; not at all where hardly anything lies in both."""
    there = both_seen(first[1], second[1], warp)
    overlap = float(there.sum() / max(1, min(first[1].sum(), second[1].sum())))
    there = there if whole else there & inside(warp)
    if there.mean() < _LEAST_SEEN:
        return Fit(warp, 0.0, overlap)
    return Fit(warp, correlation(first[0], lay(second[0], warp), there.astype(np.float32)), overlap)


def refined(first: Picture, second: Picture, start: Warp, whole: bool) -> Warp:
    """An affine move near ``start`` under which the detail agrees best, or ``start`` where there is none."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ITERATIONS, 1e-3)
    back = np.asarray(cv2.invertAffineTransform(start), np.float32)
    seen = second[1] if whole else both_seen(second[1], first[1], back) & inside(back)
    mask = (seen if seen.mean() >= _LEAST_SEEN else second[1]).astype(np.uint8) * 255
    try:
        found = cv2.findTransformECC(first[0], second[0], start.copy(), cv2.MOTION_AFFINE, stop, mask, 5)[1]
    except cv2.error:  # it did not converge
        return start
    step = np.abs(np.asarray(found) - start)
    near = step[:, :2].max() < _LARGEST_STEP and step[:, 2].max() < SIDE * _LARGEST_STEP
    return np.asarray(found, np.float32) if near else start


def lay(plane: NDArray[np.generic], warp: Warp) -> Plane:
    """An image moved so that it lies over another, black outside."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane.astype(np.float32), warp, (SIDE, SIDE), flags=flags), np.float32)


def both_seen(first: NDArray[np.bool_], second: NDArray[np.bool_], warp: Warp) -> NDArray[np.bool_]:
    """Where there is detail in both images, away from the rim."""
    there = first & (lay(second, warp) > 0.99)
    there[:_RIM] = there[-_RIM:] = there[:, :_RIM] = there[:, -_RIM:] = False
    return there


def inside(warp: Warp) -> NDArray[np.bool_]:
    """Where, in the first image, neither is near what lies outside the other.

    One of the two may be black there, where it was turned or shifted, and the step to that drowns the detail around.
    """
    back = np.asarray(cv2.invertAffineTransform(warp), np.float32)
    return away(warp) & (lay(away(back), warp) > 0.99)


def away(warp: Warp) -> NDArray[np.bool_]:
    """Where an image is not near what of it lies outside another, a pixel at its rim aside."""
    outside = (lay(_WHOLE, warp) < 0.5).astype(np.uint8)
    wide = cv2.morphologyEx(outside, cv2.MORPH_OPEN, _SLIVER)
    return np.asarray(cv2.dilate(wide, _NEAR) == 0)


def correlation(a: Plane, b: Plane, weight: Plane) -> float:
    """Correlation of two images of mean 0, each pixel counted by its weight."""
    weighted = a * weight
    norm = float(np.vdot(weighted, a)) * float(np.vdot(b * weight, b))
    return float(np.vdot(weighted, b)) / float(np.sqrt(norm + 1e-9))
