"""Images of a data set that show the same picture: recompressed, resized, turned, mirrored, brightened, cropped."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Pictures
from medcls.audit.detail import is_flat
from medcls.audit.features import find_features
from medcls.audit.found import Found, beside_others
from medcls.audit.groups import group_of
from medcls.audit.judge import Judge
from medcls.audit.moves import describe_move, start_of
from medcls.audit.neighbours import find_neighbours
from medcls.audit.pixels import Gray
from medcls.audit.progress import run_in_threads, shown
from medcls.audit.thumbnails import Thumbnails
from medcls.audit.verdict import Pair, Verdict

log = logging.getLogger(__name__)

_BATCH = 512  # pairs compared before groups are formed anew


@dataclass(frozen=True)
class Copies:
    """Which of N images show the same picture.

    ``picture`` (N,): position of the first image with the same pixels, an image's own position if it is the first.
    ``first``, ``second`` (P,): pairs of pictures (by those positions), ``first`` < ``second``; laid in
    ``orientation`` (P,), turned by ``angle`` (P,) degrees more, and where ``moved`` (P,) shifted or stretched, the
    second looks like the first. ``similarity`` (P,): correlation of their detail then.
    ``doubtful`` (P,): pairs that are alike but differ, as neighbouring slices of a scan do: no copies.
    ``group`` (N,): position of the first image that an image is a copy of, directly or through other copies.
    ``flat`` (N,): images of a single gray level, which are compared by their exact pixels only.
    """

    picture: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    angle: NDArray[np.float32]
    moved: NDArray[np.bool_]
    similarity: NDArray[np.float32]
    doubtful: NDArray[np.bool_]
    group: NDArray[np.int64]
    flat: NDArray[np.bool_]


class Chosen(Sequence[NDArray[np.uint8]]):
    """Some of the images, without a second copy of their pixels."""

    def __init__(self, images: Gray, positions: NDArray[np.int64]) -> None:
        self.images, self.positions = images, positions

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, at: int) -> NDArray[np.uint8]:  # type: ignore[override]
        image: NDArray[np.uint8] = self.images[int(self.positions[at])]
        return image


def find_copies(images: Gray, sides: NDArray[np.int64], *, thorough: bool) -> Copies:
    """Copies among gray images (N, SIDE, SIDE); ``sides`` (N,): the shorter side of each file in pixels.

    First those with the same pixels; then, by thumbnails, those that only were turned by quarters, mirrored,
    recompressed, resized or changed in tone; then, where ``thorough``, by local features, any others: one of each group
    found so far stands for it.
    """
    picture = same_pixels(images)
    flat = np.array([is_flat(image) for image in images], bool)
    positions = np.flatnonzero((picture == np.arange(len(images))) & ~flat)
    found: list[Found] = []
    if len(positions) > 1:
        began = time.monotonic()
        thumbnails = Thumbnails.of(Chosen(images, positions))
        alike = quick_pass(Chosen(images, positions), sides[positions], thumbnails)
        found += [pair for pair in alike if pair.verdict.evident]
        log.info(
            "audit: %d images have a copy with the same pixels, turned, mirrored, resized or recompressed (%.0f s)%s",
            len(images) - len(np.unique(group_all(picture, found))),
            time.monotonic() - began,
            "; now looking for those that were cropped, shifted or turned by any angle" if thorough else "",
        )
        if thorough:
            kept = np.flatnonzero(group_all(picture, found)[positions] == positions)
            chosen = Chosen(images, positions[kept])
            found += thorough_pass(chosen, sides[chosen.positions], thumbnails.take(kept), alike)
    # A doubtful pair of the first pass is judged again in the second, which has more evidence.
    once = {(pair.first, pair.second): pair for pair in found}
    return as_copies(picture, flat, beside_others(list(once.values())))


def same_pixels(images: Gray) -> NDArray[np.int64]:
    """For each image the position of the first one with the same pixels."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(sha256(image).digest(), i) for i, image in enumerate(images)], np.int64)


def quick_pass(images: Chosen, sides: NDArray[np.int64], thumbnails: Thumbnails) -> list[Found]:
    """Copies that lie as their originals do, turned by quarters or mirrored; some are only candidates."""
    judge = Judge(Pictures(images), sides, thumbnails, None)
    pairs = []
    for first, second, orientation in thumbnails.alike():
        mirrored, start = start_of(orientation)
        pairs.append(Pair(first, second, mirrored, start=start))
    return copies_of(images, judge, pairs, "Comparing pairs that look alike")


def thorough_pass(
    images: Chosen, sides: NDArray[np.int64], thumbnails: Thumbnails, alike: Sequence[Found]
) -> list[Found]:
    """Copies of any kind; ``alike``: pairs that may be copies, looked at again beside better look-alikes."""
    features = find_features(images)
    neighbours = find_neighbours(features)
    judge = Judge(Pictures(images, features), sides, thumbnails, neighbours)
    pairs = []
    place = {int(position): i for i, position in enumerate(images.positions)}
    for first, second, verdict, _ in alike:
        if first in place and second in place:
            mirrored, start = verdict.pair.mirrored, verdict.pair.start
            pairs.append(Pair(place[first], place[second], mirrored, start=start))
    pairs += [Pair(*pair) for pair in neighbours.pairs()]
    return copies_of(images, judge, pairs, "Comparing pairs of shared features")


def copies_of(images: Chosen, judge: Judge, pairs: Sequence[Pair], what: str) -> list[Found]:
    """Verdicts on the pairs that show the same picture or nearly so, each pair once."""
    best: dict[tuple[int, int], Found] = {}
    for verdict in shown(verdicts(len(images), judge, pairs), what, len(pairs)):
        if verdict is not None and verdict.same:
            first, second = (int(images.positions[i]) for i in (verdict.pair.first, verdict.pair.second))
            found = best.get((first, second))
            if found is None or verdict.fit.similarity > found.verdict.fit.similarity:
                best[first, second] = Found(first, second, verdict, verdict.doubtful)
    return beside_others(list(best.values()))


def verdicts(count: int, judge: Judge, pairs: Sequence[Pair]) -> Iterator[Verdict | None]:
    """The verdict on each pair, as ``Judge.judged`` gives it; None for a pair of a group found before.

    A group of k images so takes little more than k - 1 comparisons, not k (k - 1) / 2.
    """
    group, sure = np.arange(count), [(0, 0)]
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        fresh = [pair for pair in batch if group[pair.first] != group[pair.second]]
        yield from [None] * (len(batch) - len(fresh))
        for verdict in run_in_threads(judge.judged, fresh):
            yield verdict
            if verdict is not None and verdict.same and not verdict.doubtful:
                sure.append((verdict.pair.first, verdict.pair.second))
        group = group_of(count, *np.array(sure, np.int64).T)


def group_all(picture: NDArray[np.int64], found: Sequence[Found]) -> NDArray[np.int64]:
    """For each image the first of its group, by equal pixels and by the pairs found that are not doubtful."""
    pairs = [(pair.first, pair.second) for pair in found if not pair.doubtful]
    near = np.array(pairs, np.int64).reshape(-1, 2)
    own = np.arange(len(picture))
    return group_of(len(picture), np.concatenate([own, near[:, 0]]), np.concatenate([picture, near[:, 1]]))


def as_copies(picture: NDArray[np.int64], flat: NDArray[np.bool_], found: Sequence[Found]) -> Copies:
    """The pairs found, in the order of their images."""
    found = sorted(found, key=lambda pair: (pair.first, pair.second))
    moves = [describe_move(pair.verdict.fit.warp, pair.verdict.pair.mirrored) for pair in found]
    return Copies(
        picture=picture,
        first=np.array([pair.first for pair in found], np.int64),
        second=np.array([pair.second for pair in found], np.int64),
        orientation=np.array([move.orientation for move in moves], np.int64),
        angle=np.array([move.angle for move in moves], np.float32),
        moved=np.array([move.moved for move in moves], bool),
        similarity=np.array([pair.verdict.fit.similarity for pair in found], np.float32),
        doubtful=np.array([pair.doubtful for pair in found], bool),
        group=group_all(picture, found),
        flat=flat,
    )
