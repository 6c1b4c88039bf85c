"""Data sets of MedMNIST (Yang et al., 2023, doi 10.1038/s41597-022-01721-8), with their own splits and evaluator."""

import hashlib
import logging
import zipfile
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcls.data.table import SPLITS, Sample, SampleTable
from medcls.errors import UserError

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
    file = folder / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz")
    if not download and not file.is_file():
        raise UserError(
            f"data.root: no file {file}. Put it there, name its folder with data.root, or have it fetched: "
            "data.medmnist.download=true"
        )
    if channels != info["n_channels"]:
        log.warning("%s has %d channels, data.channels is %d", name, info["n_channels"], channels)
    kind = getattr(package, info["python_class"])
    samples: list[Sample] = []
    images, digests = [], []
    try:
        for split in SPLITS:
            part = kind(split=split, root=str(folder), size=size, download=download)
            pixels, labels = check_arrays(part.imgs, part.labels, len(info["label"]))
            samples += [Sample(f"{name}/{split}/{i:05d}", int(label), split) for i, label in enumerate(labels)]
            images.append(resized(pixels, image_size, channels))
            digests += [hashlib.sha256(image.tobytes()).hexdigest() for image in pixels]
    except (RuntimeError, OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{file}: cannot be read as {name} ({str(error).strip().splitlines()[0]}).\n"
            "  Remove the file and have it fetched: data.medmnist.download=true"
        ) from error
    table = SampleTable(folder, tuple(info["label"].values()), tuple(samples))
    return table, np.concatenate(images), tuple(digests)


def official_scores(name: str, root: Path, size: int, probabilities: NDArray[Any]) -> dict[str, float]:
    """AUC and ACC of the data set's own evaluator, as in the published tables.

    probabilities: (N, C) of all N test images, in the order of ``read_medmnist``.
    """
    evaluator = import_package().Evaluator(name, "test", size=size, root=str(root.expanduser()))
    metrics = evaluator.evaluate(probabilities)
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
    """What the package knows of a data set. Raises UserError for none of its 2D ones with one label an image."""
    known = {
        flag: info
        for flag, info in package.INFO.items()
        if info["task"] in ONE_LABEL and not info["python_class"].endswith("3D")
    }
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"data.name: found {name!r}.{hint} Expected one of {', '.join(known)}.")
    found: dict[str, Any] = known[name]
    return found


def check_arrays(images: NDArray[Any], labels: NDArray[Any], n_classes: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Images (N, H, W) or (N, H, W, 3) and labels (N,). Raises ValueError when they are none."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)):
        raise ValueError(f"images of type {images.dtype} and shape {images.shape}")
    labels = labels.reshape(len(labels), -1)
    if labels.shape != (len(images), 1) or not len(images):
        raise ValueError(f"{len(images)} images with labels of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {n_classes} classes")
    return images, labels[:, 0]


def resized(
    images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], image_size: int, channels: int
) -> NDArray[np.uint8]:
    """Images (N, image_size, image_size, channels) of (H, W) or (H, W, 3) of any sizes, scaled as ``decode`` does."""
    result = np.empty((len(images), image_size, image_size, channels), np.uint8)
    for i, pixels in enumerate(images):
        image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, reducing_gap=3.0)
        result[i] = np.asarray(image).reshape(image_size, image_size, channels)
    return result
