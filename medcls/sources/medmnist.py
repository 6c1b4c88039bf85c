"""Data sets of MedMNIST (Yang et al., 2023, doi 10.1038/s41597-022-01721-8), with their own splits and evaluator."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.config.messages import no_such_choice
from medcls.data.table import SPLITS, Sample, SampleTable
from medcls.errors import UserError
from medcls.sources.arrays import check_pixels, digests_of, resized

log = logging.getLogger(__name__)

ONE_LABEL = ("binary-class", "multi-class", "ordinal-regression")


def read_medmnist(
    name: str, root: Path, *, size: int, download: bool, image_size: int, channels: int
) -> tuple[SampleTable, NDArray[np.uint8], tuple[str, ...]]:
    """Table, images (N, image_size, image_size, channels) and SHA-256 of each original, of a data set by its name.

    Read from ``root/<name>.npz`` (``<name>_64.npz`` ... for the other sizes), fetched first where it is absent and
    ``download`` is true. The samples are called breastmnist/test/00012: data set, split and position in it.
    Raises UserError without the package, for another name, and for a file that is absent or damaged.
    """
    package = import_package()
    info = info_of(package, name)
    folder = root.expanduser()
    if download:
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / file_name(name, size)
    if not download and not file.is_file():
        raise UserError(
            f"data.root: no file {file}. Put it there, name its folder with data.root, or download it: "
            "data.medmnist.download=true"
        )
    if channels != info["n_channels"]:
        log.warning("%s has %d channels; they are converted to data.channels=%d", name, info["n_channels"], channels)
    kind = getattr(package, info["python_class"])
    samples: list[Sample] = []
    images: list[NDArray[np.uint8]] = []
    digests: list[str] = []
    try:
        for split in SPLITS:
            part = kind(split=split, root=str(folder), size=size, download=download)
            pixels = check_pixels(part.imgs)
            if pixels.shape[1:] != (expected := (size, size, 3)[: 3 if info["n_channels"] == 3 else 2]):
                raise ValueError(f"{split} images of shape {pixels.shape[1:]}, expected {expected}")
            labels = check_labels(part.labels, len(pixels), len(info["label"]))
            samples += [Sample(f"{name}/{split}/{i:05d}", int(label), split) for i, label in enumerate(labels)]
            images.append(resized(pixels, image_size, channels))
            digests += digests_of(pixels)
    except MemoryError:
        raise
    except Exception as error:  # an archive of arrays that is damaged, or something else, raises nearly anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{file}: cannot be read as {name} ({reason}).\n"
            "  Remove the file and download it again: data.medmnist.download=true"
        ) from error
    table = SampleTable(folder, tuple(info["label"].values()), tuple(samples))
    return table, np.concatenate(images), tuple(digests)


def file_name(name: str, size: int) -> str:
    """What the file of a data set is called, with images of ``size`` pixels a side."""
    return f"{name}.npz" if size == 28 else f"{name}_{size}.npz"


def file_in(config: Mapping[str, Any]) -> str | None:
    """Name of the file with all images of a stored configuration; None where they are not a data set of MedMNIST."""
    data = config.get("data")
    if not isinstance(data, Mapping) or not isinstance(own := data.get("medmnist"), Mapping):
        return None
    return file_name(str(data.get("name")), own.get("size", 28))


def official_scores(name: str, root: Path, size: int, probabilities: NDArray[Any]) -> dict[str, float] | None:
    """AUC and ACC of the data set's own evaluator, as in the published tables; None if its file has vanished meanwhile.

    probabilities: (N, C) of all N test images, in the order of ``read_medmnist``.
    """
    try:
        evaluator = import_package().Evaluator(name, "test", size=size, root=str(root.expanduser()))
        metrics = evaluator.evaluate(probabilities)
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        log.warning("MedMNIST's evaluator can no longer read its file (%s)", error)
        return None
    return {"AUC": float(metrics.AUC), "ACC": float(metrics.ACC)}


def import_package() -> ModuleType:
    """The medmnist package, an extra. Raises UserError where it is not installed."""
    try:
        import medmnist
    except ImportError as error:
        raise UserError(
            "data=medmnist: the package medmnist is not installed. Install it: pip install 'medcls[medmnist]'"
        ) from error
    module: ModuleType = medmnist
    return module


def info_of(package: ModuleType, name: str) -> dict[str, Any]:
    """What the package knows of a data set. Raises UserError for any but its 2D ones with one label per image."""
    known = {
        flag: info
        for flag, info in package.INFO.items()
        if info["task"] in ONE_LABEL and not info["python_class"].endswith("3D")
    }
    if name not in known:
        raise UserError(no_such_choice("data.name", name, list(known)))
    found: dict[str, Any] = known[name]
    return found


def check_labels(labels: NDArray[Any], n_images: int, n_classes: int) -> NDArray[Any]:
    """Labels (N,) as MedMNIST's files have them, (N, 1). Raises ValueError when they are not."""
    if labels.dtype.kind not in "iub":
        raise ValueError(f"labels of type {labels.dtype}, expected integers")
    if labels.shape not in ((n_images, 1), (n_images,)):
        raise ValueError(f"{n_images} images with labels of shape {labels.shape}")
    labels = labels.reshape(n_images)
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {n_classes} classes")
    return labels
