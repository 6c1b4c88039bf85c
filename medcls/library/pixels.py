"""Images that a program hands over, as arrays or as files, made into what a net was trained on; all else is refused."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.predict.trained import Preprocessing, read_image
from medcls.sources.arrays import resized

_EXPECTED = "Expected an array (N, H, W) or (N, H, W, 3) of uint8, a list of such images of any sizes, or image files."
_CHANNELS = (1, 3)


def as_trained(images: Any, how: Preprocessing, max_pixels: int) -> NDArray[np.uint8]:
    """Images (N, image_size, image_size, channels) of an array, of a sequence of arrays, or of the paths of files.

    Raises UserError that says what was found and what is expected.
    """
    if isinstance(images, np.ndarray) and images.dtype.kind not in "OSU":
        check_type(images, "images")
        check_stack(images)
        return from_arrays(list(images), how)
    one = isinstance(images, str | os.PathLike)
    if not one and not isinstance(images, Iterable):
        raise UserError(f"images: found {type(images).__name__}. {_EXPECTED}")
    items = [images] if one else list(images)
    if all(isinstance(item, str | os.PathLike) for item in items):
        return from_files([Path(item) for item in items], how, max_pixels)
    if not all(isinstance(item, np.ndarray) for item in items):
        raise UserError(f"images: found {', '.join(sorted({type(item).__name__ for item in items}))}. {_EXPECTED}")
    for i, item in enumerate(items):
        check_type(item, f"images[{i}]")
        if item.ndim not in (2, 3) or item.shape[2:] not in ((), (1,), (3,)) or not item.size:
            raise UserError(f"images[{i}]: found shape {item.shape}, expected (H, W), (H, W, 1) or (H, W, 3).")
    return from_arrays(items, how)


def check_type(images: NDArray[Any], name: str) -> None:
    """Raise UserError for values that are not uint8: a net would take 0 to 1 for black images."""
    if images.dtype == np.uint8:
        return
    span = f" from {images.min():g} to {images.max():g}" if images.size and images.dtype.kind in "iuf" else ""
    text = f"{name}: found {images.dtype}{span}, expected uint8 from 0 to 255, scaled as the training images were."
    if images.dtype.kind == "f" and images.size and images.min() >= 0 and images.max() <= 1:
        text += "\n  Of values from 0 to 1: (255 * images).round().astype('uint8')."
    elif images.dtype.kind in "iuf":
        text += "\n  Files of more than 8 bits are scaled as in training: give their paths in place of arrays."
    raise UserError(text)


def check_stack(images: NDArray[np.uint8]) -> None:
    """Raise UserError for an array that is not (N, H, W) or (N, H, W, C), or that may be meant otherwise."""
    shape, hint = images.shape, ""
    if images.ndim == 2 or (images.ndim == 3 and shape[2] in (*_CHANNELS, 4)):
        hint = " One image is images[None]."
    elif images.ndim == 4 and shape[3] not in _CHANNELS:
        hint = " Channels come last: images.transpose(0, 2, 3, 1)." if shape[1] in _CHANNELS else ""
    elif images.ndim in (3, 4) and 0 not in shape[1:]:
        return
    raise UserError(f"images: found shape {shape}, expected (N, H, W), (N, H, W, 1) or (N, H, W, 3).{hint}")


def from_arrays(images: Sequence[NDArray[np.uint8]], how: Preprocessing) -> NDArray[np.uint8]:
    """Images of any sizes, (H, W), (H, W, 1) or (H, W, 3), as if read from files of these pixels."""
    return resized(images, how.image_size, how.channels)


def from_files(paths: Sequence[Path], how: Preprocessing, max_pixels: int) -> NDArray[np.uint8]:
    """Images of files through the decoder of training. Raises UserError that lists those that cannot be read."""
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda path: read_image(path, how, max_pixels), paths))
    wrong = [f"{path}   {reason}" for path, reason in zip(paths, found, strict=True) if isinstance(reason, str)]
    if wrong:
        raise UserError(f"{len(wrong)} of {len(paths)} images cannot be read:\n{listing(wrong)}")
    shape = (0, how.image_size, how.image_size, how.channels)
    return np.stack([image for image in found if not isinstance(image, str)]) if found else np.empty(shape, np.uint8)
