"""Images that share local features no other image has: which pairs are worth a closer look."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Start
from medcls.audit.features import Features
from medcls.audit.progress import shown
from medcls.audit.search import Index, make_index, search_threads

_NEAREST = 10  # neighbors of each feature that may vote
_FAINT = 0.1  # votes below are noise
_BLOCK = 100  # images searched at a time
KEPT = 32  # neighbors kept of each image, copies and look-alikes
LEAST_VOTES = 3.0  # of two images that may be copies


@dataclass(frozen=True)
class Neighbours:
    """Of each of N images the KEPT others that share most of its features, by votes; -1 where there are fewer.

    ``image``, ``votes`` (N, KEPT); ``mirrored`` (N, KEPT): whether the features are those of the other's mirror image.
    """

    image: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    votes: NDArray[np.float32]

    def pairs(self) -> list[tuple[int, int, bool, float]]:
        """Pairs that may be copies, ``first`` < ``second``, whether one is mirrored, and the votes; each pair once.

        First those of each image and its best neighbour, then of its second best, and so on.
        """
        rank, image = np.nonzero((self.votes >= LEAST_VOTES).T)
        other, mirrored, votes = (part[image, rank] for part in (self.image, self.mirrored, self.votes))
        pairs = np.stack([np.minimum(image, other), np.maximum(image, other), mirrored], axis=1)
        _, once = np.unique(pairs, axis=0, return_index=True)
        once.sort()
        chosen = zip(pairs[once].tolist(), votes[once].tolist(), strict=True)
        return [(first, second, bool(mirror), vote) for (first, second, mirror), vote in chosen]

    def lookalikes(self, image: int, skip: int, count: int) -> list[Start]:
        """The next images after those that may be copies and ``skip`` at least; their moves features will find."""
        likely = max(LEAST_VOTES, float(self.votes[image, 0]) / 2)
        start = max(skip, int((self.votes[image] >= likely).sum()))
        part = slice(start, start + count)
        chosen = zip(self.image[image, part].tolist(), self.mirrored[image, part].tolist(), strict=True)
        return [(other, mirror, None) for other, mirror in chosen if other >= 0]


def find_neighbours(features: Features) -> Neighbours:
    """Neighbors of all images. Time grows with the number of features to the power of 1.5.

    Each feature votes for the images of its nearest features, the more the nearer they are in comparison with the
    last of them: what many images share, such as a frame or a letter, is as near in all of them, and does not vote.
    """
    count = len(features.ends) - 1
    owner = np.repeat(np.arange(count), np.diff(features.ends))
    found = Neighbours(np.full((count, KEPT), -1), np.zeros((count, KEPT), bool), np.zeros((count, KEPT), np.float32))
    if len(owner) <= _NEAREST:
        return found
    with search_threads():
        index = make_index(features.codes)
        blocks = range(0, count, _BLOCK)
        for start in shown(blocks, "Comparing features", len(blocks)):
            for i, other, mirrored, votes in ballots(index, features, owner, start, min(count, start + _BLOCK)):
                found.image[i, : len(other)], found.mirrored[i, : len(other)] = other, mirrored
                found.votes[i, : len(other)] = votes
    return found


Ballot = tuple[int, NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]


def ballots(index: Index, features: Features, owner: NDArray[np.int64], start: int, end: int) -> Iterator[Ballot]:
    """Image, its neighbors, whether they are mirrored, and their votes, for the images from ``start`` to ``end``."""
    count = len(features.ends) - 1
    part = slice(features.ends[start], features.ends[end])
    block, mine = features.codes[part], owner[part]
    keys, votes = [], []
    for mirrored in (0, 1):
        queries = block * features.parity if mirrored else block
        # A feature is its own nearest.
        squared, near = index.search(queries.astype(np.float32), _NEAREST + 1 - mirrored)
        distance = np.sqrt(np.maximum(squared, 0))
        vote = 1 - distance / np.maximum(distance[:, -1:], 1e-9)
        other = owner[near]
        row, column = np.nonzero((vote > _FAINT) & (other != mine[:, None]) & (near >= 0))
        keys.append((mine[row] * count + other[row, column]) * 2 + mirrored)
        votes.append(vote[row, column])
    key, which = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(which, np.concatenate(votes), len(key)).astype(np.float32)
    image, rest = np.divmod(key, 2 * count)
    order = np.lexsort((-total, image))
    for i, at in zip(*grouped(image[order]), strict=True):
        best = order[at][:KEPT]
        yield int(i), rest[best] // 2, rest[best] % 2 == 1, total[best]


def grouped(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[slice]]:
    """Each different value of a sorted array, and where it stands."""
    different, first = np.unique(values, return_index=True)
    ends = [*first[1:].tolist(), len(values)]
    return different, [slice(a, b) for a, b in zip(first.tolist(), ends, strict=True)]
