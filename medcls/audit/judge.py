"""Which pairs of images are copies: those whose detail agrees where neither resembles what else there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Fit, Pictures, Warp, both_seen, correlation, inside, lay
from medcls.audit.detail import SIDE, Plane, blurred, mirrored
from medcls.audit.moves import Move, describe_move
from medcls.audit.neighbours import Neighbours
from medcls.audit.thumbnails import Thumbnails

LEAST_SIMILAR, LEAST_OVERLAP = 0.6, 0.3  # of two images under a move, or they are not looked at more closely
LEAST_OWN = 0.4  # correlation of what each image has for itself
LEAST_LEAD, SMALL_LEAD = 0.35, 0.25  # over the best look-alike, by Fisher's transform; of small files that lie alike
LEAST_SUM, FEW_SUM = 0.9, 1.1  # of the two; where few features speak for the pair
MANY_VOTES = 10.0
LEAST_AHEAD = 0.2  # share of the image, by which a pair of many votes may make up for its lead
SURE_SUM = 1.25  # of the two, below which a pair is doubtful
EARLY_SUM = 1.5  # of the two, below which a pair is left to the search for copies of any kind
EARLY_SIMILAR, EARLY_BEHIND = 0.97, 0.05  # similarity that is enough early; or share in which look-alikes agree better
SURE = 0.8  # similarity below which a pair that lies alike is doubtful
SURE_SMALL, SURE_IN_PLACE = 0.99, 0.98  # of small files; of those that lie alike to a fraction of a pixel
SURE_MIRRORED, SURE_EDITED = 0.92, 0.985  # of small files that are mirrored; that are moved
EDITED_SUM = 2.2  # of the two, from which small files that are moved are copies nevertheless
SMALL = 96  # pixels: images whose shorter side has less are small, and neighbouring slices hard to tell from copies
SKIPPED = 4  # nearest images that may be copies, and so are no look-alikes
LOOKALIKES = 8

_SMOOTH = SIDE / 64  # pixels, standard deviation over which an image's own share of its detail is estimated
_EVEN = 0.05  # squared detail that no share is estimated from
_AROUND = SIDE // 6 | 1  # pixels, side of the square over which agreement at a place is measured
_NOTHING = 1e-3  # squared detail that nothing is compared by
_CLEAR = 0.05  # difference of two such correlations that counts


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
    ``small``: whether either file is. ``ahead``, ``behind``: share of the image in which the two agree better than
    with any look-alike, less twice that in which they agree worse, for the image of which it is more; and the latter
    share, for the image of which that is more. In a frame that many images share neither counts.
    """

    pair: Pair
    fit: Fit
    own: float
    lead: float
    small: bool
    ahead: float = 0.0
    behind: float = 0.0

    @property
    def move(self) -> Move:
        """How one of the two was turned, mirrored or moved."""
        return describe_move(self.fit.warp, self.pair.mirrored)

    @property
    def same(self) -> bool:
        """Whether the two show the same picture, or nearly so."""
        alike = self.small and self.move.lies_alike  # which is doubtful unless much speaks for it
        least = LEAST_SUM if alike or self.pair.votes >= MANY_VOTES else FEW_SUM
        leads = self.lead >= (SMALL_LEAD if alike else LEAST_LEAD) and self.own + self.lead >= least
        ahead = self.pair.votes >= MANY_VOTES and self.ahead >= LEAST_AHEAD
        return self.own >= LEAST_OWN and (leads or ahead)

    @property
    def evident(self) -> bool:
        """Whether they do beyond doubt, so that one of them may stand for both."""
        nowhere_else = self.fit.similarity >= EARLY_SIMILAR or self.behind <= EARLY_BEHIND
        return self.same and self.own + self.lead >= EARLY_SUM and nowhere_else

    @property
    def doubtful(self) -> bool:
        """Whether they may as well be two pictures of the same object, such as neighbouring slices of a scan.

        Those lie alike and differ in detail; what was turned or cropped was edited.
        """
        similarity = self.fit.similarity
        if self.own + self.lead < SURE_SUM and self.pair.votes < MANY_VOTES:
            return True
        move = self.move
        if not self.small:
            return move.lies_alike and similarity < SURE
        if move.stretched:
            return True
        if move.lies_alike:
            return similarity < (SURE_IN_PLACE if move.in_place else SURE_SMALL)
        if move.only_mirrored:
            return similarity < SURE_MIRRORED
        return similarity < SURE_EDITED and self.own + self.lead < EDITED_SUM


@dataclass(frozen=True)
class Beside:
    """An image beside its look-alikes, planes of (S, S).

    ``rest``: the detail that it has for itself; ``share``: which share of its detail that is, 0 to 1; ``best``:
    similarity of the best look-alike; ``agreement``: around each place, with the look-alike that agrees best there.
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
