"""One image under fixed transforms, and as training sees it epoch after epoch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.data.augment import Augmenter
from medcls.formats.gray import between_percentiles
from medcls.preview.schema import ConfigWithPreview, PreviewConfig

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Tile:
    """A transformed image (H, W, C) and a short label that says how."""

    label: str
    pixels: Pixels


def under_fixed_transforms(image: Pixels, preview: PreviewConfig) -> dict[str, list[Tile]]:
    """Heading -> tiles: each scale factor, angle, and pair of low and high intensity percentiles."""
    return {
        "Scale factor": [Tile(f"{factor:g}", affine(image, scale=factor)) for factor in preview.scale],
        "Rotation, counter-clockwise": [Tile(f"{angle:g}°", affine(image, rotate=angle)) for angle in preview.rotate],
        "Intensity percentiles shown as black and white": [
            Tile(f"{low:g} % and {high:g} %", stretched(image, low, high)) for low, high in preview.percentiles
        ],
    }


def affine(image: Pixels, **change: float) -> Pixels:
    """The image after one parameter of albumentations' Affine is applied with a fixed value."""
    fixed = {name: [value, value] for name, value in change.items()}
    # Border filled with the nearest pixel (cv2.BORDER_REPLICATE), as in conf/augment.
    return Augmenter({"Affine": {**fixed, "border_mode": 1, "p": 1.0}})(image, 0)


def stretched(image: Pixels, low: float, high: float) -> Pixels:
    """The image with its percentiles ``low`` and ``high`` mapped to 0 and 255, and values outside clipped."""
    values = between_percentiles(image.astype(np.float32), percentiles=(low, high))
    return np.rint(values).astype(np.uint8)


def through_epochs(image: Pixels, config: ConfigWithPreview) -> list[Tile]:
    """The image, then as training sees it in each epoch if it is training image ``preview.index``."""
    augmenter, index = Augmenter(config.augment.transforms), config.preview.index
    draws = (augmenter(image, config.seed, epoch, index) for epoch in range(config.preview.epochs))
    return [Tile("original", image)] + [Tile(f"epoch {epoch}", pixels) for epoch, pixels in enumerate(draws, start=1)]
