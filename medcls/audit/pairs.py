"""The pairs of copies as a list of plain values, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.audit.copies import Copies
from medcls.audit.file_facts import FileFacts, pixel_digest
from medcls.audit.orientation import NAMES
from medcls.data.table import Sample, SampleTable

LISTED = 1000  # pairs listed individually; all are counted
LEAST_ANGLE = 2  # degrees from which a pair is said to be turned
_MAY_BE_EXACT = 0.995  # similarity from which the pixels of the files are compared too


@dataclass(frozen=True)
class Pairs:
    """Pairs of images (P,) by position; in a pair across splits the training image is the second.

    ``exact``: with the same pixels; ``near`` (P,): position of the pair among those of ``Copies``, -1 where exact. An
    image with k copies with the same pixels gives k pairs, not all k (k + 1) / 2.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    near: NDArray[np.int64]
    similarity: NDArray[np.float32]
    doubtful: NDArray[np.bool_]

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Which pairs (P,) have the same pixels."""
        return self.near < 0


def list_pairs(samples: Sequence[Sample], copies: Copies) -> Pairs:
    """Pairs of images from pairs of pictures: of two pictures, images from different splits if there are any."""
    trained = np.array([sample.split == "train" for sample in samples])
    positions = np.arange(len(samples))
    train, held = (member(copies.picture, positions[chosen]) for chosen in (trained, ~trained))
    # Copies with the same pixels: each is paired with one representative, a held-out image if there is one.
    centre = np.where(held >= 0, held, train)[copies.picture]
    twin = np.flatnonzero(centre != positions)
    a, b = copies.first, copies.second
    # Held-out image first, training image second, where the two pictures allow it.
    straight, crossed = (held[a] >= 0) & (train[b] >= 0), (train[a] >= 0) & (held[b] >= 0)
    some = np.where(train >= 0, train, held)
    near_first = np.where(straight, held[a], np.where(crossed, held[b], some[a]))
    near_second = np.where(straight, train[b], np.where(crossed, train[a], some[b]))
    return Pairs(
        np.concatenate([centre[twin], near_first]),
        np.concatenate([twin, near_second]),
        np.concatenate([np.full(len(twin), -1), np.arange(len(a))]),
        np.concatenate([np.ones(len(twin), np.float32), copies.similarity]),
        np.concatenate([np.zeros(len(twin), bool), copies.doubtful]),
    )


def member(picture: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each picture the first of ``positions`` that shows it, -1 if none does."""
    found = np.full(len(picture), -1)
    found[picture[positions[::-1]]] = positions[::-1]
    return found


def describe_pairs(
    table: SampleTable, copies: Copies, digests: Sequence[str], facts: Sequence[FileFacts]
) -> dict[str, Any]:
    """Numbers of pairs and groups; all groups; and the first ``LISTED`` pairs, where there are more one of each group.

    Copies across splits first, then across classes, then others, then doubtful pairs.
    """
    pairs = list_pairs(table.samples, copies)
    split = np.array([sample.split for sample in table.samples])
    label = np.array([sample.label for sample in table.samples])
    across = split[pairs.first] != split[pairs.second]
    conflicting = label[pairs.first] != label[pairs.second]
    order = np.lexsort((-pairs.similarity, ~conflicting, ~across, pairs.doubtful))
    sure = ~pairs.doubtful
    groups = [members for members in members_of(copies.group) if len(members) > 1]
    listed = []
    for at in listing_order(pairs, copies, order).tolist():
        i, j = int(pairs.first[at]), int(pairs.second[at])
        listed.append(
            {
                "first": describe_image(table, i, facts[i]),
                "second": describe_image(table, j, facts[j]),
                "kind": "same file" if digests[i] == digests[j] else kind(table, pairs, copies, at),
                "orientation": orientation(pairs, copies, at),
                "doubtful": bool(pairs.doubtful[at]),
                "similarity": round(float(pairs.similarity[at]), 4),
                "across_splits": bool(across[at]),
                "conflicting": bool(conflicting[at]),
            }
        )
    return {
        "pairs": int(sure.sum()),
        "across_splits": int((across & sure).sum()),
        "conflicting": int((conflicting & sure).sum()),
        "doubtful": int(pairs.doubtful.sum()),
        "doubtful_across_splits": int((across & pairs.doubtful).sum()),
        "pictures": len(np.unique(copies.group)),
        "groups": [members.tolist() for members in groups],
        "largest_group": max((len(members) for members in groups), default=1),
        "listed": listed,
    }


def listing_order(pairs: Pairs, copies: Copies, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """``LISTED`` of ``order``, in that order: a pair of each group and doubtful ones before any others."""
    group = copies.group[pairs.first[order]]
    fresh = np.zeros(len(order), bool)
    fresh[np.unique(np.where(pairs.doubtful[order], -1 - np.arange(len(order)), group), return_index=True)[1]] = True
    rank = np.argsort(~fresh, kind="stable")[:LISTED]
    return order[np.sort(rank)]


def members_of(group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Positions of the members of each group, in the order of their first ones."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def describe_image(table: SampleTable, position: int, facts: FileFacts) -> dict[str, Any]:
    """What the list says about an image."""
    sample = table.samples[position]
    return {
        "name": sample.name,
        "split": sample.split,
        "class": table.classes[sample.label],
        "width": facts.width,
        "height": facts.height,
        "position": position,
    }


def orientation(pairs: Pairs, copies: Copies, at: int) -> str:
    """How the second image of a pair is turned, in words."""
    if pairs.exact[at]:
        return ""
    near = pairs.near[at]
    angle = abs(round(float(copies.angle[near])))
    turned = f"turned by {angle}°" if angle >= LEAST_ANGLE else ""
    return ", ".join(part for part in (NAMES[copies.orientation[near]], turned) if part)


def kind(table: SampleTable, pairs: Pairs, copies: Copies, at: int) -> str:
    """How similar the images of a pair of different files are."""
    near = pairs.near[at]
    if pairs.doubtful[at]:
        return "doubtful: the same object or a changed copy"
    if not pairs.exact[at] and copies.moved[near]:
        return "near copy, shifted or stretched"
    lies_alike = pairs.exact[at] or (copies.orientation[near] == 0 and pairs.similarity[at] >= _MAY_BE_EXACT)
    if table.root is not None and lies_alike:
        first, second = (pixel_digest(table.root / table.samples[i[at]].name) for i in (pairs.first, pairs.second))
        if first and first == second:
            return "same pixels"
    return "same pixels when resized" if pairs.exact[at] else "near copy"
