"""Whether two images show the same picture, judged by their pixels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from medcls.audit.hashes import Candidates
from medcls.audit.orientation import oriented

COARSE, FINE = 32, 64  # pixels per side at which images are compared
# Darker or brighter pixels may have been clipped when the copy was brightened or darkened.
DARK, BRIGHT = 3, 252
_LEAST_LEFT = 0.2  # fraction of pixels that must be neither dark nor bright in both images, or all are compared
_FLAT = 8  # gray levels: images with less between their darkest and brightest pixel are blank
_CHUNK = 1024  # pairs compared at a time, 20 MB


def thumbnails(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Gray images (N, S, S) resized to (N, side, side)."""
    if images.shape[1] == side:
        return images
    small = np.empty((len(images), side, side), np.uint8)
    for target, pixels in zip(small, images, strict=True):
        # A box covers all pixels of the larger grid, so that nothing aliases.
        image = Image.fromarray(np.ascontiguousarray(pixels))
        target[:] = np.asarray(image.resize((side, side), Image.Resampling.BOX))
    return small


def flat(thumbs: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of the images (N, S, S) are blank: a single gray, within a few levels."""
    shade = thumbs.reshape(len(thumbs), -1)
    return np.asarray(shade.max(axis=1) - shade.min(axis=1) < _FLAT)


def usable(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of ``images`` are neither dark nor bright."""
    return np.asarray((images > DARK) & (images < BRIGHT))


def details(thumbs: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Images (N, S, S) minus their coarse shape, in which all radiographs of a joint resemble each other."""
    values = np.empty(thumbs.shape, np.float16)
    for start in range(0, len(thumbs), _CHUNK):  # in chunks, to bound memory
        block = thumbs[start : start + _CHUNK].astype(np.float32)
        values[start : start + _CHUNK] = block - gaussian_filter(block, (0, 1, 1), mode="nearest")
    return values


class Grid:
    """Images of one size, ready to be compared in pairs."""

    def __init__(self, thumbs: NDArray[np.uint8]) -> None:
        self.details = details(thumbs)
        self.usable = usable(thumbs)

    def similarity(self, pairs: Candidates) -> NDArray[np.float32]:
        """Correlation (P,) of the details of each pair, over the pixels that are neither dark nor bright in either.

        Invariant to changes of brightness and contrast.
        """
        found = np.empty(len(pairs.first), np.float32)
        for orientation in np.unique(pairs.orientation):
            which = np.flatnonzero(pairs.orientation == orientation)
            for start in range(0, len(which), _CHUNK):
                chunk = which[start : start + _CHUNK]
                a, b = self.details[pairs.first[chunk]], oriented(self.details[pairs.second[chunk]], orientation)
                both = self.usable[pairs.first[chunk]] & oriented(self.usable[pairs.second[chunk]], orientation)
                found[chunk] = correlation(a, b, both)
        return found


def correlation(a: NDArray[np.floating], b: NDArray[np.floating], both: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pearson correlation (P,) of images (P, S, S) over the pixels where ``both`` is true; 0 if one of them is flat."""
    n = len(a)
    weight = both.reshape(n, -1).astype(np.float32)
    weight[weight.mean(axis=1) < _LEAST_LEFT] = 1
    x, y = a.reshape(n, -1).astype(np.float32), b.reshape(n, -1).astype(np.float32)
    total = weight.sum(axis=1, keepdims=True)
    x = (x - (x * weight).sum(axis=1, keepdims=True) / total) * weight
    y = (y - (y * weight).sum(axis=1, keepdims=True) / total) * weight
    norm = np.sqrt(np.einsum("ps,ps->p", x, x) * np.einsum("ps,ps->p", y, y))
    dot: NDArray[np.float32] = np.einsum("ps,ps->p", x, y)
    np.divide(dot, norm, out=dot, where=norm > 1)
    dot[norm <= 1] = 0
    return dot
