"""The decoded images of a data set with their table: what training, audit and reports start from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.data.table import SampleTable


@dataclass(frozen=True)
class ImageSet:
    """Decoded images with their table.

    ``images``: (N, H, W, C) uint8, in the table's order; ``fingerprint``: changes with any pixel, label or split;
    ``unreadable``: name -> reason of the images left out; ``positive``: of two classes, the one that sensitivity,
    specificity and F1 are about; ``digests``: SHA-256 of each file or image; ``audit``: its findings, where made.
    """

    table: SampleTable
    images: NDArray[np.uint8]
    fingerprint: str
    unreadable: Mapping[str, str]
    positive: str | None
    digests: tuple[str, ...]
    audit: Mapping[str, Any] | None = None

    @property
    def notice(self) -> str | None:
        """What must be said wherever metrics appear: training images that leak, or were left out since they did."""
        return None if self.audit is None else self.audit["leaks"].get("notice")

    def indices(self, split: str) -> NDArray[np.int64]:
        """Positions of the samples of a split."""
        return np.array([i for i, sample in enumerate(self.table.samples) if sample.split == split], dtype=np.int64)

    def labels(self, split: str) -> NDArray[np.int64]:
        """Labels of the samples of a split, in the order of ``indices``."""
        return np.array([sample.label for sample in self.table.samples if sample.split == split], dtype=np.int64)

    def describe(self) -> dict[str, Any]:
        """What data.json says of the images."""
        return {
            "root": None if self.table.root is None else str(self.table.root.resolve()),
            "simulated": self.table.simulated,
            "classes": list(self.table.classes),
            "positive": self.positive,
            "counts": self.table.counts(),
            "shape": list(self.images.shape[1:]),
            "fingerprint": self.fingerprint,
            "unreadable": dict(self.unreadable),
            "passed_over": dict(self.table.passed_over),
            "test_validates": self.table.test_validates,
            "audit": self.audit,
        }


def fingerprint(table: SampleTable, digests: tuple[str, ...]) -> str:
    """Digest of every image's name, label, split, content and patient."""
    lines = (
        "\t".join((s.name, str(s.label), s.split, digest, *([s.group] if s.group else []))) + "\n"
        for s, digest in zip(table.samples, digests, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
