"""Simulated images: a data set for a first run, for tests and for benchmarks, when there are no real images."""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from medcls.data.table import Sample, SampleTable
from medcls.sources import phantoms

KINDS = ("skin", "bone", "xray")

# Distance between neighboring classes in severity, in its standard deviations. Images depend on their class only
# through the severity, so that no classifier of two classes exceeds an accuracy of Phi(2.8 / 2) = 0.92.
SEPARATION = 2.8

# Deviation of the share of a foreign organ in a shape: it passes one half, and misleads, in 7 % of the images.
BLEND = 0.28

GRAIN = 128  # grains of film noise a side, and the smallest canvas to draw on


def simulated_table(kind: str, classes: Sequence[str], counts: Mapping[str, Sequence[int]]) -> SampleTable:
    """Table of simulated images with names such as ``train/AFF_0001.png``.

    ``counts``: split ("train", "val", "test") -> images per class, in the order of ``classes``.
    Raises ValueError for a kind that is none of ``KINDS`` or for counts that do not match the classes.
    """
    check_kind(kind)
    for split, numbers in counts.items():
        if len(numbers) != len(classes):
            raise ValueError(f"{split}: {len(numbers)} counts for the {len(classes)} classes {', '.join(classes)}")
    samples = [
        Sample(f"{split}/{name}_{i:04d}.png", label, split)
        for split, numbers in counts.items()
        for label, (name, number) in enumerate(zip(classes, numbers, strict=True))
        for i in range(1, number + 1)
    ]
    return SampleTable(None, tuple(classes), tuple(samples), simulated=True)


def simulated_images(
    table: SampleTable, *, kind: str, image_size: int, channels: int, seed: int = 0
) -> NDArray[np.uint8]:
    """Images ``(N, image_size, image_size, channels)`` of the samples of ``table``, 0 to 255; channels 1 or 3.

    An image depends on ``seed``, its name and its label alone, and shows the same scene at every size.
    Raises ValueError for a kind that is none of ``KINDS`` or another number of channels.
    """
    check_kind(kind)
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}, expected 1 or 3")
    images = np.empty((len(table.samples), image_size, image_size, channels), dtype=np.uint8)

    def draw(index: int) -> None:
        sample = table.samples[index]
        # Keyed by name, so that an image depends neither on the other images nor on their order.
        rng = np.random.default_rng([seed, *sample.name.encode()])
        image = scene(rng, kind, sample.label, len(table.classes), max(image_size, GRAIN))
        images[index] = exposed(rng, image, image_size, channels)

    with ThreadPoolExecutor() as pool:
        list(pool.map(draw, range(len(images))))
    return images


def check_kind(kind: str) -> None:
    """Raise ValueError for a ``kind`` that cannot be simulated."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} images cannot be simulated, expected one of {', '.join(KINDS)}")


def scene(rng: Generator, kind: str, label: int, n_classes: int, side: int) -> phantoms.Image:
    """Noiseless image of class ``label``, ``(side, side)`` or RGB ``(side, side, 3)``, about 0 to 1."""
    if kind == "xray":
        return phantoms.xray(rng, blended_shape(rng, label, n_classes), side)
    draw = phantoms.skin if kind == "skin" else phantoms.bone
    return draw(rng, severity(rng, label, n_classes), side)


def severity(rng: Generator, label: int, n_classes: int) -> float:
    """How ill the image looks, 0 to 1: high for label 0 and lower from class to class, with overlap."""
    centre = SEPARATION * ((n_classes - 1) / 2 - label)
    return float(1 / (1 + np.exp(-rng.normal(centre, 1))))


def blended_shape(rng: Generator, label: int, n_classes: int) -> NDArray[np.float64]:
    """Shape of the organ of class ``label`` with a share of that of another class, rarely more than one half."""
    share = min(abs(rng.normal(0, BLEND)), 1.0)
    other = (label + int(rng.integers(1, max(n_classes, 2)))) % n_classes
    shape: NDArray[np.float64] = (1 - share) * phantoms.organ(label) + share * phantoms.organ(other)
    return shape


def exposed(rng: Generator, image: phantoms.Image, image_size: int, channels: int) -> NDArray[np.uint8]:
    """The scene with blur, grain, contrast and brightness of its own, ``(image_size, image_size, channels)``."""
    side = len(image)
    if channels == 1 and image.ndim == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), side / GRAIN * rng.uniform(0.3, 1.0)))
    grain = rng.uniform(0.03, 0.07) * phantoms.texture(rng, GRAIN, side)
    image += grain if image.ndim == 2 else grain[..., None]
    image = (image - 0.5) * math.exp(rng.normal(0, 0.12)) + (0.5 + rng.normal(0, 0.03))
    pixels = np.clip(image * 255, 0, 255).astype(np.uint8)
    if side != image_size:
        pixels = np.asarray(cv2.resize(pixels, (image_size, image_size), interpolation=cv2.INTER_AREA))
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], channels, axis=2)
