"""Which pairs of images are copies: those whose detail agrees where neither resembles other images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Fit, Pictures, both_seen, correlation, inside, lay
from medcls.audit.detail import SIDE, Plane, blurred, mirrored
from medcls.audit.neighbours import Neighbours
from medcls.audit.thumbnails import Thumbnails
from medcls.audit.verdict import Pair, Verdict

LEAST_SIMILAR, LEAST_OVERLAP = 0.6, 0.3  # of two images under a move, or they are not looked at more closely
SMALL = 96  # pixels: images whose shorter side has less are small, and neighboring slices hard to tell from copies
SKIPPED = 4  # nearest images that may be copies, and so are no look-alikes
LOOKALIKES = 8

_SMOOTH = SIDE / 64  # pixels, standard deviation over which an image's own share of its detail is estimated
_EVEN = 0.05  # squared detail too small to estimate a share from
_AROUND = SIDE // 6 | 1  # pixels, side of the square over which agreement at a place is measured
_NOTHING = 1e-3  # squared detail too small to compare
_CLEAR = 0.05  # difference of two such correlations that counts


@dataclass(frozen=True)
class Beside:
    """An image beside its look-alikes, planes of (S, S).

    ``rest``: the detail that its look-alikes do not have; ``share``: which share of its detail that is, 0 to 1;
    ``best``: similarity of the best look-alike; ``agreement``: around each place, with the look-alike that agrees best
    there.
    """

    rest: Plane
    share: Plane
    best: float = 0.0
    agreement: NDArray[np.float16] | None = None


class Judge:
    """Compares pairs of images with each other and with look-alikes; ``sides`` (N,): the shorter side of each file."""

    def __init__(
        self, pictures: Pictures, sides: NDArray[np.int64], thumbnails: Thumbnails, neighbours: Neighbours | None
    ) -> None:
        self.pictures, self.small = pictures, sides < SMALL
        self.thumbnails, self.found = thumbnails, neighbours or thumbnails
        self.as_they_lie = lru_cache(500)(self._as_they_lie)  # 128 KB each
        self.moved = lru_cache(2000)(self._moved)

    def judged(self, pair: Pair) -> Verdict | None:
        """The verdict on a pair; None where a cheaper look rules it out."""
        fit = self.pictures.laid(pair.first, pair.second, pair.mirrored, pair.start)
        if fit is None or fit.similarity < LEAST_SIMILAR or fit.overlap < LEAST_OVERLAP:
            return None
        verdict = self.compared(pair, fit, [self.as_they_lie(i) for i in (pair.first, pair.second)])
        # Look-alikes that are moved explain more, never less: most pairs need not wait for those.
        if not verdict.same:
            return verdict
        return self.compared(pair, fit, [self.moved(i) for i in (pair.first, pair.second)])

    def compared(self, pair: Pair, fit: Fit, alone: list[Beside]) -> Verdict:
        """The verdict, given both images beside their look-alikes."""
        first, second = alone
        a, b = self.pictures.seen(pair.first), self.pictures.facing(pair.second, pair.mirrored)
        seen = both_seen(a[1], b[1], fit.warp) & inside(fit.warp)
        there = seen.astype(np.float32)
        own_b = (mirrored(part) if pair.mirrored else part for part in (second.rest, second.share))
        plane, rest, share = (lay(part, fit.warp) for part in (b[0], *own_b))
        of_a, of_b = there * first.share**2, there * share**2
        own = max(correlation(first.rest, plane, of_a), correlation(first.rest, rest, of_a))
        own += max(correlation(a[0], rest, of_b), correlation(first.rest, rest, of_b))
        lead = atanh(fit.similarity) - (atanh(first.best) + atanh(second.best)) / 2
        small = bool(self.small[[pair.first, pair.second]].any())
        if first.agreement is None or second.agreement is None:
            return Verdict(pair, fit, own / 2, lead, small)
        theirs = mirrored(second.agreement) if pair.mirrored else second.agreement
        more = around(a[0], plane, there) - np.stack([first.agreement, lay(theirs, fit.warp)])
        better, worse = ((part[:, seen].mean(axis=1)) for part in (more > _CLEAR, more < -_CLEAR))
        return Verdict(pair, fit, own / 2, lead, small, float((better - 2 * worse).max()), float(worse.max()))

    def _as_they_lie(self, image: int) -> Beside:
        """An image beside those that look most like it as they lie; no lead is taken of those."""
        plane, _ = self.pictures.seen(image)
        return Beside(*own(plane, [self.pictures.seen(k)[0] for k in self.alike(image)]))

    def alike(self, image: int) -> list[int]:
        """The images that look most like one as they lie, without those that may be copies."""
        near = self.thumbnails.nearest([image], SKIPPED + LOOKALIKES + 1)[1][0, SKIPPED + 1 :]
        return [k for k in near.tolist() if k >= 0]

    def _moved(self, image: int) -> Beside:
        """The same, also beside the look-alikes that were found for it, laid over it."""
        plain, best, moved = self.as_they_lie(image), 0.0, []
        plane, there = self.pictures.seen(image)
        agreement = np.zeros_like(plane)
        for other in self.alike(image):
            found, seen = self.pictures.seen(other)
            np.maximum(agreement, around(plane, found, (there & seen).astype(np.float32)), out=agreement)
        for other, mirror, start in self.found.lookalikes(image, SKIPPED, LOOKALIKES):
            if (fit := self.pictures.laid(image, other, mirror, start, whole=True)) is None:
                continue
            found, seen = self.pictures.facing(other, mirror)
            moved.append(lay(found, fit.warp))
            shared = both_seen(there, seen, fit.warp).astype(np.float32)
            np.maximum(agreement, around(plane, moved[-1], shared), out=agreement)
            if fit.overlap >= LEAST_OVERLAP:
                best = max(best, fit.similarity)
        if len(moved) < 3:
            return Beside(plain.rest, plain.share, best, agreement.astype(np.float16))
        rest, share = own(plane, moved)
        less = plain.share <= share
        rest = np.where(less, plain.rest, rest)
        return Beside(rest, np.minimum(plain.share, share), best, agreement.astype(np.float16))


def own(plane: Plane, others: Sequence[Plane]) -> tuple[Plane, Plane]:
    """What the detail of an image has beyond the median of others, and which share of its detail that is."""
    if not others:
        return plane, np.ones_like(plane)
    rest = plane - np.median(np.stack(others), axis=0).astype(np.float32)
    share = blurred(rest * rest, _SMOOTH) / (blurred(plane * plane, _SMOOTH) + _EVEN)
    return rest, np.clip(share, 0, 1).astype(np.float32)


def around(a: Plane, b: Plane, there: Plane) -> Plane:
    """Correlation of two images around each place, 0 where there is nothing to compare."""

    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.boxFilter(plane * there, -1, (_AROUND, _AROUND)), np.float32)

    agreement: Plane = mean(a * b) / np.sqrt(mean(a * a) * mean(b * b) + _NOTHING)
    return agreement * there


def atanh(similarity: float) -> float:
    """Fisher's transform: makes differences near 1 count as much as they mean."""
    return float(np.arctanh(min(similarity, 0.999)))
