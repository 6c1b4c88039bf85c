"""The pairs of copies, one line each, the worst first."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.audit.copies import Copies
from medcls.audit.files import FileFacts, pixel_digest
from medcls.audit.orientation import NAMES
from medcls.data.table import Sample, SampleTable

LISTED = 1000  # pairs told one by one; all are counted
_MAY_BE_EXACT = 0.995  # similarity from which on the pixels of the files are compared too


@dataclass(frozen=True)
class Pairs:
    """Pairs of images (P,) by position, a pair of two splits with the training image second.

    An image with k copies of the same pixels gives k pairs, not all k (k + 1) / 2.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    similarity: NDArray[np.float32]


def list_pairs(samples: Sequence[Sample], copies: Copies) -> Pairs:
    """Pairs of images from pairs of pictures: of two pictures, those images that lie in two splits, if any do."""
    trained = np.array([sample.split == "train" for sample in samples])
    positions = np.arange(len(samples))
    train, held = (member(copies.picture, positions[chosen]) for chosen in (trained, ~trained))
    # Copies of the same pixels: each with one that stands for all, a held-out one if there is one.
    centre = np.where(held >= 0, held, train)[copies.picture]
    twin = np.flatnonzero(centre != positions)
    a, b = copies.first, copies.second
    # Held out first, training second, where the two pictures allow it.
    straight, crossed = (held[a] >= 0) & (train[b] >= 0), (train[a] >= 0) & (held[b] >= 0)
    some = np.where(train >= 0, train, held)
    near_first = np.where(straight, held[a], np.where(crossed, held[b], some[a]))
    near_second = np.where(straight, train[b], np.where(crossed, train[a], some[b]))
    return Pairs(
        np.concatenate([centre[twin], near_first]),
        np.concatenate([twin, near_second]),
        np.concatenate([np.zeros(len(twin), np.int64), copies.orientation]),
        np.concatenate([np.ones(len(twin), np.float32), copies.similarity]),
    )


def member(picture: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each picture the first of ``positions`` that shows it, -1 where none does."""
    found = np.full(len(picture), -1)
    found[picture[positions[::-1]]] = positions[::-1]
    return found


def describe_pairs(
    table: SampleTable, pairs: Pairs, digests: Sequence[str], facts: Sequence[FileFacts]
) -> dict[str, Any]:
    """Numbers of pairs, and the first ``LISTED`` with their images: across splits, then of two classes, then others."""
    split = np.array([sample.split for sample in table.samples])
    label = np.array([sample.label for sample in table.samples])
    across = split[pairs.first] != split[pairs.second]
    conflicting = label[pairs.first] != label[pairs.second]
    order = np.lexsort((-pairs.similarity, ~conflicting, ~across))[:LISTED]
    listed = []
    for at in order.tolist():
        i, j = int(pairs.first[at]), int(pairs.second[at])
        similarity, orientation = float(pairs.similarity[at]), int(pairs.orientation[at])
        listed.append(
            {
                "first": describe_image(table, i, facts[i]),
                "second": describe_image(table, j, facts[j]),
                "kind": kind(table.root, table.samples[i], table.samples[j], digests[i] == digests[j], similarity)
                if orientation == 0
                else "near copy",
                "orientation": NAMES[orientation],
                "similarity": round(similarity, 4),
                "across_splits": bool(across[at]),
                "conflicting": bool(conflicting[at]),
            }
        )
    return {
        "pairs": len(across),
        "across_splits": int(across.sum()),
        "conflicting": int(conflicting.sum()),
        "listed": listed,
    }


def describe_image(table: SampleTable, position: int, facts: FileFacts) -> dict[str, Any]:
    """What a list says of an image."""
    sample = table.samples[position]
    return {
        "name": sample.name,
        "split": sample.split,
        "class": table.classes[sample.label],
        "width": facts.width,
        "height": facts.height,
        "position": position,
    }


def kind(root: Path | None, first: Sample, second: Sample, same_bytes: bool, similarity: float) -> str:
    """How alike two images are that lie the same way."""
    if same_bytes:
        return "same file"
    if root is not None and similarity >= _MAY_BE_EXACT:
        digest = pixel_digest(root / first.name)
        if digest and digest == pixel_digest(root / second.name):
            return "same pixels"
    return "same pixels when resized" if similarity == 1 else "near copy"
