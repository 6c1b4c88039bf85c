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
from medcls.data.folder import check_counts
from medcls.data.listing import listing
from medcls.data.source import check_outside_images, division_of, find_root, is_simulated, read_table
from medcls.data.split import divide
from medcls.data.table import SampleTable
from medcls.errors import UserError

log = logging.getLogger(__name__)


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
        """What must be said wherever figures appear: training images that leak, or were left out since they did."""
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
            "audit": self.audit,
        }


def load_image_set(config: DataConfig, image_size: int) -> ImageSet:
    """Images of the data set that ``config`` names, resized to squares of ``image_size`` pixels.

    Raises UserError for a folder that cannot be trained on (see ``scan_folder``), or listing all unreadable images.
    """
    if is_simulated(config):
        return simulate(config, image_size)
    root = find_root(config)
    if config.medmnist is not None:
        return medmnist_images(config, root, image_size)

    check_outside_images("data.cache_dir", config.cache_dir.expanduser(), config)
    from medcls.data.cache import load_images

    table = read_table(config, root)
    positive = positive_class(config.positive, table.classes)
    cached = load_images(
        root,
        [sample.name for sample in table.samples],
        image_size=image_size,
        channels=config.channels,
        cache_dir=config.cache_dir.expanduser(),
        max_pixels=config.max_pixels,
        window=config.window,
    )
    if cached.unreadable:
        table = without_unreadable(table, cached.unreadable, config.on_unreadable)
    return ImageSet(
        table, cached.images, fingerprint(table, cached.digests), cached.unreadable, positive, cached.digests
    )


def simulate(config: DataConfig, image_size: int) -> ImageSet:
    """Simulated images in place of a default folder that does not exist."""
    from medcls.data.simulated import simulated_images, simulated_table

    assert config.simulated is not None
    assert config.classes is not None
    log.warning(
        "SIMULATED: there is no folder %s, so this run uses built-in simulated images; its numbers say nothing about "
        "patients. Put images there or name their folder: data.root=/path/to/images",
        config.default_root,
    )
    kind = config.simulated.kind
    table = simulated_table(kind, list(config.classes), config.simulated.counts)
    images = simulated_images(table, kind=kind, image_size=image_size, channels=config.channels)
    samples, split_drawn = divide(table.samples, division_of(config.split))
    table = replace(table, classes=tuple(config.classes.values()), samples=samples, split_drawn=split_drawn)
    digests = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
    positive = positive_class(config.positive, table.classes)
    return ImageSet(table, images, fingerprint(table, digests), {}, positive, digests)


def medmnist_images(config: DataConfig, root: Path, image_size: int) -> ImageSet:
    """Images of a data set of MedMNIST, which come as arrays and not as files."""
    from medcls.data.medmnist import read_medmnist

    assert config.medmnist is not None
    for key in ("manifest", "group_pattern", "classes"):
        if getattr(config, key) is not None:
            raise UserError(
                f"data.{key}: not for data=medmnist, whose file says all. Leave it out, or use data=folder."
            )
    table, images, digests = read_medmnist(
        config.name,
        root,
        size=config.medmnist.size,
        download=config.medmnist.download,
        image_size=image_size,
        channels=config.channels,
    )
    samples, split_drawn = divide(table.samples, division_of(config.split))
    table = replace(table, samples=samples, split_drawn=split_drawn)
    positive = positive_class(config.positive, table.classes)
    return ImageSet(table, images, fingerprint(table, digests), {}, positive, digests)


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
    """Digest of every image's name, label, split, content and patient."""
    lines = (
        "\t".join((s.name, str(s.label), s.split, digest, *([s.group] if s.group else []))) + "\n"
        for s, digest in zip(table.samples, digests, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
