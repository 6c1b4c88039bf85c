"""The verdict on a pair of images: whether they are copies, may be, or are not."""

from dataclasses import dataclass
from functools import cached_property

from medcls.audit.alignment import Fit, Warp
from medcls.audit.moves import Move, describe_move

LEAST_OWN = 0.4  # correlation of the detail that look-alikes do not have
LEAST_LEAD, SMALL_LEAD = 0.35, 0.25  # over the best look-alike, by Fisher's transform; of small files that lie alike
LEAST_SUM, FEW_SUM = 0.9, 1.1  # of the two; where few features support the pair
MANY_VOTES = 10.0
LEAST_AHEAD = 0.2  # share of the image, by which a pair of many votes may make up for its lead; of any stretched one
SURE_SUM = 1.25  # of the two, below which a pair is doubtful
EARLY_SUM = 1.5  # of the two, below which a pair is left to the search for copies of any kind
EARLY_SIMILAR, EARLY_BEHIND = 0.97, 0.05  # similarity that is enough early; or share in which look-alikes agree better
SURE = 0.8  # similarity below which a pair that lies alike is doubtful
SURE_SMALL, SURE_IN_PLACE = 0.99, 0.98  # of small files; of those that lie alike to a fraction of a pixel
SURE_EDITED = 0.985  # of small files that do not lie alike
EDITED_SUM = 2.2  # of the two, from which those are copies nevertheless


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
    """Result of comparing a pair.

    ``own``: correlation of the detail that look-alikes do not have; ``lead``: how much better the two agree than with
    look-alikes; ``small``: whether either file is. ``ahead``, ``behind``: share of the image in which the two agree
    better than with any look-alike, less twice that in which they agree worse, for the image of which it is more; and
    the latter share, for the image of which that is more. In a frame that many images share neither counts. Until these
    are measured, a pair is ahead everywhere.
    """

    pair: Pair
    fit: Fit
    own: float
    lead: float
    small: bool
    ahead: float = 1.0
    behind: float = 0.0

    @cached_property
    def move(self) -> Move:
        """How one of the two was turned, mirrored or moved."""
        return describe_move(self.fit.warp, self.pair.mirrored)

    @property
    def same(self) -> bool:
        """Whether the two show the same picture, or nearly so."""
        if self.move.stretched and self.ahead < LEAST_AHEAD:  # one hand can be stretched over another
            return False
        alike = self.small and self.move.lies_alike  # which is doubtful unless the evidence is strong
        least = LEAST_SUM if alike or self.pair.votes >= MANY_VOTES else FEW_SUM
        leads = self.lead >= (SMALL_LEAD if alike else LEAST_LEAD) and self.own + self.lead >= least
        ahead = self.pair.votes >= MANY_VOTES and self.ahead >= LEAST_AHEAD
        return self.own >= LEAST_OWN and (leads or ahead)

    @property
    def evident(self) -> bool:
        """Whether the two are the same beyond doubt, so that one of them may stand for both."""
        nowhere_else = self.fit.similarity >= EARLY_SIMILAR or self.behind <= EARLY_BEHIND
        return self.same and self.own + self.lead >= EARLY_SUM and nowhere_else

    @property
    def doubtful(self) -> bool:
        """Whether they may as well be two pictures of the same object, such as neighboring slices of a scan.

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
        return similarity < SURE_EDITED and self.own + self.lead < EDITED_SUM
