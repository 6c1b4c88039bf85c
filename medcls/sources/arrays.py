"""Images that come as one array of pixels and not as files: checked, and resized as ``decode`` resizes files."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def check_pixels(images: NDArray[Any]) -> NDArray[np.uint8]:
    """``images`` if they are uint8 of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), and not empty; else ValueError."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.shape[3:] not in ((), (1,), (3,)):
        raise ValueError(
            f"images of type {images.dtype} and shape {images.shape}, expected uint8 of shape (N, H, W) or (N, H, W, 3)"
        )
    if 0 in images.shape:
        raise ValueError(f"images of shape {images.shape}, expected some pixels")
    return images


def resized(
    images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], image_size: int, channels: int
) -> NDArray[np.uint8]:
    """Images (N, image_size, image_size, channels) of (H, W) or (H, W, C) of any sizes, scaled as ``decode`` does."""
    result = np.empty((len(images), image_size, image_size, channels), np.uint8)
    for i, pixels in enumerate(images):
        plane = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
        image = Image.fromarray(plane).convert("L" if channels == 1 else "RGB")
        image = image.resize((image_size, image_size), Image.Resampling.BILINEAR, reducing_gap=3.0)
        result[i] = np.asarray(image).reshape(image_size, image_size, channels)
    return result


def digests_of(images: NDArray[np.uint8]) -> tuple[str, ...]:
    """SHA-256 of the pixels of each image."""
    return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in images)
