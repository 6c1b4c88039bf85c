"""Which pairs of images are copies: those whose detail agrees where neither resembles what else there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Fit, Pictures, Warp, both_seen, correlation, lay
from medcls.audit.detail import SIDE, Plane, blurred, mirrored
from medcls.audit.moves import describe_move
from medcls.audit.neighbours import Neighbours
from medcls.audit.thumbnails import Thumbnails

LEAST_SIMILAR, LEAST_OVERLAP = 0.6, 0.3  # of two images under a move, or they are not looked at more closely
LEAST_OWN = 0.4  # correlation of what each image has for itself
LEAST_LEAD = 0.35  # over the best look-alike, by Fisher's transform
LEAST_SUM, FEW_SUM = 0.9, 1.1  # of the two; where few features speak for the pair
MANY_VOTES = 10.0
SURE_SUM = 1.25  # of the two, below which a pair is doubtful
EARLY_SUM = 1.5  # of the two, below which a pair is left to the search for copies of any kind
SURE, SURE_SMALL = 0.8, 0.98  # similarity below which a pair that lies alike is doubtful; of small files
SURE_MIRRORED, SURE_EDITED = 0.92, 0.75  # of small files that are mirrored; that are moved
SMALL = 96  # pixels: images whose shorter side has less are small, and neighbouring slices hard to tell from copies
SKIPPED = 4  # nearest images that may be copies, and so are no look-alikes
LOOKALIKES = 8

_SMOOTH = SIDE / 64  # pixels, standard deviation over which an image's own share of its detail is estimated
_EVEN = 0.05  # squared detail that no share is estimated from


@dataclass(frozen=True)
class Pair:
    """Two images, ``first`` < ``second``, that may be copies, the second ``mirrored``.

    ``votes``: of the features that they share; ``start``: a known move.
    """

    first: int
    second: int
    mirrored: bool
    votes: float = 0.0
    start: Warp | None = None


@dataclass(frozen=True)
class Verdict:
    """What came of comparing a pair.

    ``own``: correlation of what each image has for itself; ``lead``: how much better they agree than with look-alikes;
    ``small``: whether either file is.
    """

    pair: Pair
    fit: Fit
    own: float
    lead: float
    small: bool

    @property
    def same(self) -> bool:
        """Whether the two show the same picture, or nearly so."""
        least = LEAST_SUM if self.pair.votes >= MANY_VOTES else FEW_SUM
        return self.own >= LEAST_OWN and self.lead >= LEAST_LEAD and self.own + self.lead >= least

    @property
    def evident(self) -> bool:
        """Whether they do beyond doubt, so that one of them may stand for both."""
        return self.same and self.own + self.lead >= EARLY_SUM

    @property
    def doubtful(self) -> bool:
        """Whether they may as well be two pictures of the same object, such as neighbouring slices of a scan.

        Those lie alike and differ in detail; what was turned or cropped was edited.
        """
        similarity = self.fit.similarity
        if self.own + self.lead < SURE_SUM and self.pair.votes < MANY_VOTES:
            return True
        move = describe_move(self.fit.warp, self.pair.mirrored)
        if not self.small:
            return move.lies_alike and similarity < SURE
        if move.lies_alike:
            return similarity < SURE_SMALL
        return similarity < (SURE_MIRRORED if move.only_mirrored else SURE_EDITED)


Own = tuple[Plane, Plane]  # what an image has for itself, and which share of its detail that is, 0 to 1


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

    def compared(self, pair: Pair, fit: Fit, alone: list[tuple[Own, float]]) -> Verdict:
        """The verdict, given what either image has for itself and how similar its best look-alike is."""
        (own_a, best_a), (own_b, best_b) = alone
        a, b = self.pictures.seen(pair.first), self.pictures.facing(pair.second, pair.mirrored)
        if pair.mirrored:
            own_b = (mirrored(own_b[0]), mirrored(own_b[1]))
        there = both_seen(a[1], b[1], fit.warp).astype(np.float32)
        plane, rest, share = (lay(part, fit.warp) for part in (b[0], *own_b))
        of_a, of_b = there * own_a[1] ** 2, there * share**2
        own = max(correlation(own_a[0], plane, of_a), correlation(own_a[0], rest, of_a))
        own += max(correlation(a[0], rest, of_b), correlation(own_a[0], rest, of_b))
        lead = atanh(fit.similarity) - (atanh(best_a) + atanh(best_b)) / 2
        return Verdict(pair, fit, own / 2, lead, bool(self.small[[pair.first, pair.second]].any()))

    def _as_they_lie(self, image: int) -> tuple[Own, float]:
        """What an image has for itself beside those that look most like it as they lie; no lead is taken of those."""
        near = self.thumbnails.nearest([image], SKIPPED + LOOKALIKES + 1)[1][0, SKIPPED + 1 :]
        return own(self.pictures.seen(image)[0], [self.pictures.seen(int(k))[0] for k in near if k >= 0]), 0.0

    def _moved(self, image: int) -> tuple[Own, float]:
        """The same, also beside the look-alikes that were found for it, laid over it."""
        (plain, best), moved = self.as_they_lie(image), []
        for other, mirror, start in self.found.lookalikes(image, SKIPPED, LOOKALIKES):
            if (fit := self.pictures.laid(image, other, mirror, start)) is None:
                continue
            moved.append(lay(self.pictures.facing(other, mirror)[0], fit.warp))
            if fit.overlap >= LEAST_OVERLAP:
                best = max(best, fit.similarity)
        if len(moved) < 3:
            return plain, best
        other_own = own(self.pictures.seen(image)[0], moved)
        less = plain[1] <= other_own[1]
        return (np.where(less, plain[0], other_own[0]), np.minimum(plain[1], other_own[1])), best


def own(plane: Plane, others: Sequence[Plane]) -> Own:
    """What the detail of an image has beyond the median of others, and which share of its detail that is."""
    if not others:
        return plane, np.ones_like(plane)
    rest = plane - np.median(np.stack(others), axis=0).astype(np.float32)
    share = blurred(rest * rest, _SMOOTH) / (blurred(plane * plane, _SMOOTH) + _EVEN)
    return rest, np.clip(share, 0, 1).astype(np.float32)


def atanh(similarity: float) -> float:
    """Fisher's transform: makes differences near 1 count as much as they mean."""
    return float(np.arctanh(min(similarity, 0.999)))
