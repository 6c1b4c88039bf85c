"""The images of a configuration, decoded: from folder, manifest, MedMNIST, own function or simulation to one array."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from medcls.config import DataConfig
from medcls.data.image_set import ImageSet, fingerprint
from medcls.data.listing import listing
from medcls.data.table import SampleTable, check_counts
from medcls.errors import UserError
from medcls.quoting import typed
from medcls.sources.arrays import digests_of, resized
from medcls.sources.class_names import given_classes
from medcls.sources.image_folder import scan_folder
from medcls.sources.location import (
    cache_folder,
    check_outside_images,
    check_root_variables,
    find_manifests,
    find_root,
    or_set_aside,
)
from medcls.sources.manifest import read_manifest
from medcls.sources.split import divide

log = logging.getLogger(__name__)


def load_image_set(config: DataConfig, image_size: int) -> ImageSet:
    """Images of the data set that ``config`` names, resized to squares of ``image_size`` pixels.

    Raises UserError for images that cannot be trained on (see ``scan_folder``, ``read_manifest``, ``read_medmnist`` and
    ``read_own``), or listing all unreadable ones.
    """
    if config.uses_simulation:
        return simulate(config, image_size)
    if config.target is not None:
        return own_images(config, image_size)
    root = find_root(config)
    if config.medmnist is not None:
        return medmnist_images(config, root, image_size)
    check_outside_images("data.cache_dir", cache_folder(config.cache_dir), config)
    return decoded(read_table(config, root), config, image_size)


def read_table(config: DataConfig, root: Path) -> SampleTable:
    """Table of the images below ``root``. Raises UserError as ``read_manifest`` or ``scan_folder`` do."""
    if not root.is_dir():
        raise UserError(f"data.root: no folder {root}. Name an existing one: {typed('data.root', '/path/to/images')}")
    manifests = find_manifests(config, root)
    if not manifests:
        return scan_folder(
            root,
            config.classes,
            split=config.split,
            group_pattern=config.group_pattern,
        )
    with or_set_aside(config, manifests):
        return read_manifest(
            manifests,
            root,
            config.classes,
            columns=config.columns,
            allow_outside_root=config.allow_outside_root,
            group_pattern=config.group_pattern,
            split=config.split,
        )


def decoded(table: SampleTable, config: DataConfig, image_size: int) -> ImageSet:
    """The image files of ``table``, decoded or from the cache. Raises UserError that lists the unreadable ones."""
    from medcls.sources.cache import load_images

    assert table.root is not None
    check_memory(len(table.samples), image_size, config.channels)
    positive = positive_class(config.positive, table.classes)
    cached = load_images(
        table.root,
        [sample.name for sample in table.samples],
        image_size=image_size,
        channels=config.channels,
        cache_dir=cache_folder(config.cache_dir),
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
    from medcls.sources.simulated import simulated_images

    assert config.simulated is not None
    drawn, table = simulated_tables(config)
    check_memory(len(table.samples), image_size, config.channels)
    log.warning(
        "SIMULATED: there is no folder %s, so this run uses built-in simulated images; its numbers say nothing about "
        "patients. Put images there or name their folder: data.root=/path/to/images",
        config.default_root,
    )
    images = simulated_images(drawn, kind=config.simulated.kind, image_size=image_size, channels=config.channels)
    return of_arrays(table, images, digests_of(images), config)


def simulated_tables(config: DataConfig) -> tuple[SampleTable, SampleTable]:
    """Tables of simulated images: as they are drawn, a kind of image for each token, and as they are used.

    Raises UserError for classes or counts that do not fit each other, and as ``check_root_variables`` does.
    """
    from medcls.sources.simulated import simulated_table

    check_root_variables(config)

    assert config.simulated is not None
    if config.classes is None:
        raise UserError("data.classes: found null, expected the classes to simulate images of.")
    try:
        drawn = simulated_table(config.simulated.kind, list(config.classes), config.simulated.counts)
    except ValueError as error:
        raise UserError(
            f"data.simulated.counts: {error}. Expected a number of images for each of data.classes."
        ) from error
    known = given_classes(config.classes)
    labels = list(known.tokens.values())
    samples = tuple(replace(sample, label=labels[sample.label]) for sample in drawn.samples)
    table = divide(replace(drawn, classes=known.names, samples=samples), config.split)
    check_counts(table)
    positive_class(config.positive, table.classes)
    return drawn, table


def classes_without_images(config: DataConfig) -> tuple[str, ...] | None:
    """Names of the classes where they are known before an image is read; None where they are not."""
    if config.uses_simulation:
        return simulated_tables(config)[1].classes
    return None if config.classes is None else given_classes(config.classes).names


def check_memory(n_images: int, image_size: int, channels: int) -> None:
    """Raise UserError for more pixels than fit into this machine's memory."""
    needed, there = n_images * image_size**2 * channels, psutil.virtual_memory().total
    if needed > there:
        raise UserError(
            f"image_size: {n_images:,} images of {image_size} x {image_size} pixels take {needed / 2**30:,.0f} GiB of "
            f"memory; this machine has {there / 2**30:,.0f} GiB. Choose a smaller image_size."
        )


def medmnist_images(config: DataConfig, root: Path, image_size: int) -> ImageSet:
    """Images of a data set of MedMNIST, which come as arrays and not as files."""
    from medcls.sources.medmnist import read_medmnist

    assert config.medmnist is not None
    for key in ("manifest", "group_pattern", "classes"):
        if getattr(config, key) is not None:
            raise UserError(
                f"data.{key}: not for data=medmnist, whose file defines it. Leave it out, or use data=folder."
            )
    table, images, digests = read_medmnist(
        config.name,
        root,
        size=config.medmnist.size,
        download=config.medmnist.download,
        image_size=image_size,
        channels=config.channels,
    )
    table = divide(table, config.split)
    check_counts(table)
    return of_arrays(table, images, digests, config)


def own_images(config: DataConfig, image_size: int) -> ImageSet:
    """Images that a function of the user's own lists or returns."""
    from medcls.sources.own import read_own

    table, pixels = read_own(config)
    if pixels is None:
        return decoded(table, config, image_size)
    found = 3 if pixels.shape[3:] == (3,) else 1
    if config.channels != found:
        log.warning(
            "%s returned images of %d channels; they are converted to data.channels=%d",
            *(config.target, found, config.channels),
        )
    return of_arrays(table, resized(pixels, image_size, config.channels), digests_of(pixels), config)


def of_arrays(table: SampleTable, images: NDArray[np.uint8], digests: tuple[str, ...], config: DataConfig) -> ImageSet:
    """Image set of images (N, H, W, C) that are not files."""
    return ImageSet(
        table, images, fingerprint(table, digests), {}, positive_class(config.positive, table.classes), digests
    )


def positive_class(name: str | None, classes: tuple[str, ...]) -> str | None:
    """Of two classes the one named, else the last; None for more than two."""
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
    check_counts(table, ("data.on_unreadable=skip", "None of its images there can be read: repair or replace some."))
    return table
