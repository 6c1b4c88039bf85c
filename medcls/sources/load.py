"""The images of a configuration, decoded: folder, manifest, MedMNIST or simulation -> table -> cache -> array."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medcls.config import DataConfig
from medcls.data.image_set import ImageSet, fingerprint
from medcls.data.listing import listing
from medcls.data.split import divide
from medcls.data.table import SampleTable, check_counts
from medcls.errors import UserError
from medcls.sources.source import check_outside_images, division_of, find_root, is_simulated, read_table

log = logging.getLogger(__name__)


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
    from medcls.sources.cache import load_images

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
    from medcls.sources.simulated import simulated_images, simulated_table

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
    from medcls.sources.medmnist import read_medmnist

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
