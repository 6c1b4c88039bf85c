"""Pairs of images that show the same picture or nearly so, and which of them other pairs put in doubt."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from medcls.audit.verdict import Verdict


class Found(NamedTuple):
    """Two of the images, by position, with the verdict on them, and whether that stays in doubt beside other pairs."""

    first: int
    second: int
    verdict: Verdict
    doubtful: bool


def beside_others(found: Sequence[Found]) -> list[Found]:
    """The pairs; also doubtful are those of which one image is a better copy of a third that resembles the other.

    Of two slices that may be neighbors, an edited image is a copy of the one that it agrees with more.
    """
    like, copies = defaultdict[int, set[int]](set), defaultdict[int, list[tuple[int, float]]](list)
    for first, second, verdict, doubtful in found:
        for one, other in ((first, second), (second, first)):
            if doubtful:
                like[one].add(other)
            else:
                copies[one].append((other, verdict.fit.similarity))

    def outdone(pair: Found) -> bool:
        ends = ((pair.first, pair.second), (pair.second, pair.first))
        return any(
            similarity > pair.verdict.fit.similarity and third in like[other]
            for one, other in ends
            for third, similarity in copies[one]
        )

    return [pair._replace(doubtful=pair.doubtful or outdone(pair)) for pair in found]
