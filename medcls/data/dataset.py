"""The images of a configuration, decoded: folder or simulation -> table -> cache -> array."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.config import DataConfig
from medcls.data.folder import check_counts, listing, scan_folder
from medcls.data.table import SampleTable
from medcls.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageSet:
    """Decoded images with their table.

    ``images``: (N, H, W, C) uint8, in the table's order; ``fingerprint``: changes with any pixel, label or split;
    ``unreadable``: name -> reason of the images left out; ``positive``: of two classes, the one that sensitivity,
    specificity and F1 are about.
    """

    table: SampleTable
    images: NDArray[np.uint8]
    fingerprint: str
    unreadable: Mapping[str, str]
    positive: str | None

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
        }


def load_image_set(config: DataConfig, image_size: int) -> ImageSet:
    """Images of the data set that ``config`` names, resized to squares of ``image_size`` pixels.

    Raises UserError for a folder that cannot be trained on (see ``scan_folder``), or listing all unreadable images.
    """
    if config.root is None and config.default_root is None:
        raise UserError("data.root: missing. Name the folder with the images: data.root=/path/to/images")
    root = config.root or config.default_root
    assert root is not None
    root = root.expanduser()
    if config.root is None and config.simulated is not None and not root.is_dir():
        return simulate(config, image_size, root)

    from medcls.data.cache import load_images

    split = config.split
    table = scan_folder(root, config.classes, val_fraction=split.val_fraction, split_seed=split.seed)
    positive = positive_class(config.positive, table.classes)
    names = [sample.name for sample in table.samples]
    cached = load_images(
        root, names, image_size=image_size, channels=config.channels, cache_dir=config.cache_dir.expanduser()
    )
    if cached.unreadable:
        table = without_unreadable(table, cached.unreadable, config.on_unreadable)
    return ImageSet(table, cached.images, fingerprint(table, cached.digests), cached.unreadable, positive)


def simulate(config: DataConfig, image_size: int, missing: Path) -> ImageSet:
    """Simulated images in place of a default folder that does not exist."""
    from medcls.data.simulated import simulated_images, simulated_table

    assert config.simulated is not None
    assert config.classes is not None
    log.warning(
        "SIMULATED: there is no folder %s, so this run uses built-in simulated images; its numbers say nothing about "
        "patients. Put images there or name their folder: data.root=/path/to/images",
        missing,
    )
    kind = config.simulated.kind
    table = simulated_table(kind, list(config.classes), config.simulated.counts)
    images = simulated_images(table, kind=kind, image_size=image_size, channels=config.channels)
    table = replace(table, classes=tuple(config.classes.values()))
    digests = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
    return ImageSet(table, images, fingerprint(table, digests), {}, positive_class(config.positive, table.classes))


def positive_class(name: str | None, classes: tuple[str, ...]) -> str | None:
    """Of two classes the one named, the last where none is; None for more than two."""
    if name is not None and name not in classes:
        raise UserError(f"data.positive: found {name!r}, expected one of the classes: {', '.join(classes)}.")
    return (name or classes[-1]) if len(classes) == 2 else None


def without_unreadable(table: SampleTable, unreadable: Mapping[str, str], choice: str) -> SampleTable:
    """Table of the readable images; raises UserError that lists the others unless ``choice`` is "skip"."""
    reasons = listing([f"{name}   {reason}" for name, reason in unreadable.items()], shown=len(unreadable))
    if choice != "skip":
        raise UserError(
            f"{len(unreadable)} of {len(table.samples)} images cannot be read:\n{reasons}\n"
            "  Repair or remove them, or train without them: data.on_unreadable=skip"
        )
    log.warning("%d images cannot be read and are left out:\n%s", len(unreadable), reasons)
    table = replace(table, samples=tuple(sample for sample in table.samples if sample.name not in unreadable))
    check_counts(table)
    return table


def fingerprint(table: SampleTable, digests: tuple[str, ...]) -> str:
    """Digest of every image's name, label, split and content."""
    lines = (f"{s.name}\t{s.label}\t{s.split}\t{digest}\n" for s, digest in zip(table.samples, digests, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
