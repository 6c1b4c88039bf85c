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
_MAY_BE_EXACT = 0.995  # similarity from which the pixels of the files are compared too


@dataclass(frozen=True)
class Pairs:
    """Pairs of images (P,) by position; in a pair across splits the training image is the second.

    ``exact``: with the same pixels; ``moved``: alike once one is shifted or stretched. An image with k copies with the
    same pixels gives k pairs, not all k (k + 1) / 2.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    similarity: NDArray[np.float32]
    exact: NDArray[np.bool_]
    moved: NDArray[np.bool_]


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
        np.concatenate([np.zeros(len(twin), np.int64), copies.orientation]),
        np.concatenate([np.ones(len(twin), np.float32), copies.similarity]),
        np.concatenate([np.ones(len(twin), bool), np.zeros(len(a), bool)]),
        np.concatenate([np.zeros(len(twin), bool), copies.moved]),
    )


def member(picture: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each picture the first of ``positions`` that shows it, -1 if none does."""
    found = np.full(len(picture), -1)
    found[picture[positions[::-1]]] = positions[::-1]
    return found


def describe_pairs(
    table: SampleTable, copies: Copies, digests: Sequence[str], facts: Sequence[FileFacts]
) -> dict[str, Any]:
    """Numbers of pairs, and the first ``LISTED`` with their images: across splits, then across classes, then others."""
    pairs = list_pairs(table.samples, copies)
    split = np.array([sample.split for sample in table.samples])
    label = np.array([sample.label for sample in table.samples])
    across = split[pairs.first] != split[pairs.second]
    conflicting = label[pairs.first] != label[pairs.second]
    order = np.lexsort((-pairs.similarity, ~conflicting, ~across))[:LISTED]
    listed = []
    for at in order.tolist():
        i, j = int(pairs.first[at]), int(pairs.second[at])
        listed.append(
            {
                "first": describe_image(table, i, facts[i]),
                "second": describe_image(table, j, facts[j]),
                "kind": "same file" if digests[i] == digests[j] else kind(table, pairs, at),
                "orientation": NAMES[pairs.orientation[at]],
                "similarity": round(float(pairs.similarity[at]), 4),
                "across_splits": bool(across[at]),
                "conflicting": bool(conflicting[at]),
            }
        )
    return {
        "pairs": len(across),
        "across_splits": int(across.sum()),
        "conflicting": int(conflicting.sum()),
        "unaligned": int(copies.unaligned),
        "listed": listed,
    }


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


def kind(table: SampleTable, pairs: Pairs, at: int) -> str:
    """How similar the images of a pair of different files are."""
    if pairs.moved[at]:
        return "near copy, shifted or stretched"
    if table.root is not None and pairs.orientation[at] == 0 and pairs.similarity[at] >= _MAY_BE_EXACT:
        first, second = (pixel_digest(table.root / table.samples[i[at]].name) for i in (pairs.first, pairs.second))
        if first and first == second:
            return "same pixels"
    return "same pixels when resized" if pairs.exact[at] else "near copy"
