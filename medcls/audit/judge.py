"""Which of the pairs with similar hashes are copies: the comparison of their pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import SIDE, aligned_similarity
from medcls.audit.hashes import Candidates
from medcls.audit.orientation import oriented
from medcls.audit.similarity import FINE, Grid, thumbnails
from medcls.config.schema import AuditConfig

_DETAILED_FROM = 80  # pixels on the shorter side of a file; smaller images have no detail to compare at FINE pixels
MAY_BE_MOVED = 0.4  # similarity from which aligning two images is worthwhile
MOST_ALIGNED = 10_000  # pairs, about 20 s on one core: thousands of radiographs of one joint may have millions


@dataclass(frozen=True)
class Scored:
    """Candidates with their ``similarity`` (P,); ``moved`` (P,): whether it was reached only by aligning them."""

    candidates: Candidates
    similarity: NDArray[np.float32]
    moved: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence["Scored"]) -> "Scored":
        """The pairs of all parts."""
        none = np.empty(0, np.int64)
        first, second, orientation = (
            np.concatenate([none, *(getattr(part.candidates, name) for part in parts)])
            for name in ("first", "second", "orientation")
        )
        return cls(
            Candidates(first, second, orientation),
            np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)]),
            np.concatenate([np.empty(0, bool), *(part.moved for part in parts)]),
        )

    def take(self, chosen: NDArray[Any]) -> "Scored":
        """The pairs at the given indices, or where a mask is true."""
        return Scored(self.candidates.take(chosen), self.similarity[chosen], self.moved[chosen])

    def most_alike(self, count: int) -> "Scored":
        """The ``count`` pairs with the highest similarity, or all if there are fewer."""
        return self.take(np.argsort(-self.similarity, kind="stable")[:count])

    def once(self) -> "Scored":
        """Each pair only in the orientation with the highest similarity, sorted by position."""
        pairs = self.candidates
        order = np.lexsort((pairs.orientation, -self.similarity, self.moved, pairs.second, pairs.first))
        first, second = pairs.first[order], pairs.second[order]
        fresh = np.ones(len(order), bool)
        fresh[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        return self.take(order[fresh])


class Judge:
    """Compares the pixels of pairs of gray images (N, S, S).

    ``coarse``: the images at COARSE pixels; ``sides`` (N,): the shorter side of each file in pixels.
    """

    def __init__(
        self, gray: NDArray[np.uint8], coarse: NDArray[np.uint8], sides: NDArray[np.int64], config: AuditConfig
    ) -> None:
        self.gray = gray
        self.coarse = Grid(coarse)
        self.detailed = (sides >= _DETAILED_FROM) & (gray.shape[1] >= FINE)
        self.config = config

    def compare(self, candidates: Candidates) -> tuple[Scored, Scored]:
        """The pairs that are copies without alignment, and those that may be copies once they are aligned."""
        similarity = self.coarse.similarity(candidates)
        detailed = self.detailed[candidates.first] & self.detailed[candidates.second]
        alike = similarity >= np.where(detailed, self.config.similarity, self.config.similarity_small)
        finer = alike & detailed
        alike[finer] = self.alike_in_detail(candidates.take(finer))
        doubtful = detailed & ~alike & (similarity >= MAY_BE_MOVED) & (self.gray.shape[1] >= SIDE)
        scored = Scored(candidates, similarity, np.zeros(len(similarity), bool))
        return scored.take(alike), scored.take(doubtful)

    def alike_in_detail(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Which pairs (P,) are also alike at FINE pixels."""
        used, position = np.unique([candidates.first, candidates.second], return_inverse=True)
        first, second = position.reshape(2, -1)
        grid = Grid(thumbnails(self.gray[used], FINE))
        similarity = grid.similarity(Candidates(first, second, candidates.orientation))
        return np.asarray(similarity >= self.config.similarity_fine)

    def align(self, first: int, second: int, orientation: int) -> float:
        """Similarity of two images once the second is aligned to the first."""
        a, b = thumbnails(self.gray[[first, second]], SIDE)
        return aligned_similarity(a, np.ascontiguousarray(oriented(b, orientation)))
