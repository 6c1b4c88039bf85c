"""How unlike the training images an image is: Mahalanobis distance to its nearest class in a few pixel statistics.

With one covariance for all classes, shrunk as Ledoit & Wolf (2004, doi 10.1016/S0047-259X(03)00096-4) do; the distance
to the nearest class mean is that of Lee et al. (2018, arXiv 1807.03888), here of pixels and not of features, so that it
is the same for every net. It detects another scanner, exposure, sharpness or frame, not another organ that looks alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]

SHARE = 0.99  # of the validation images lies within the limit
MOST = 5000  # images that the distance is fitted to, evenly chosen
FEWEST = 10  # validation images of which a limit is taken
_LEVELS = np.arange(256.0)
_FRAME = 16  # the outermost 1 / _FRAME on each side is the frame


def pixel_statistics(image: NDArray[np.uint8]) -> Features:
    """Statistics (F,) of an image (H, W, C) of uint8: level, contrast, tails, saturation, detail, frame, colors."""
    planes = [image[..., i].astype(np.int16) for i in range(image.shape[2])]
    gray: NDArray[np.int16] = np.stack(planes).sum(axis=0, dtype=np.int16) // len(planes)
    counts = np.bincount(gray.reshape(-1), minlength=256) / gray.size  # all that follows from levels is quick from here
    mean = counts @ _LEVELS
    deviation = np.sqrt(counts @ (_LEVELS - mean) ** 2)
    edge = max(1, gray.shape[0] // _FRAME)
    inside = gray[edge:-edge, edge:-edge]
    frame = (mean * gray.size - inside.sum(dtype=np.float64)) / (gray.size - inside.size)
    detail = [np.abs(np.diff(gray, axis=axis)).mean() if gray.shape[axis] > 1 else 0.0 for axis in (0, 1)]
    found = [mean, deviation, *np.searchsorted(np.cumsum(counts), [0.05, 0.5, 0.95]), frame, *np.log1p(detail)]
    found += [np.sqrt(counts[:2].sum()), np.sqrt(counts[-2:].sum())]
    if len(planes) == 3:
        red, green, blue = planes
        chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        found += [red.mean() - green.mean(), blue.mean() - green.mean(), chroma.mean()]
    return np.asarray(found, np.float64)


@dataclass(frozen=True)
class Likeness:
    """Class means (C, F), what whitens (F, F), and the distance within which ``SHARE`` of validation images lie."""

    means: Features
    whitener: Features
    limit: float
    n_validation: int

    def distances(self, features: Features) -> Features:
        """Distances (N,) of images with statistics (N, F) to the nearest class."""
        white, means = features @ self.whitener, self.means @ self.whitener
        found: Features = np.sqrt(((white[:, None] - means[None]) ** 2).sum(axis=2)).min(axis=1)
        return found


def fit_likeness(training: Features, labels: NDArray[np.int64], validation: Features) -> Likeness | None:
    """The distance fitted to training images (N, F), its limit taken from validation images; None of too few."""
    from sklearn.covariance import LedoitWolf

    if len(validation) < FEWEST or len(training) < FEWEST:
        return None
    scale = training.std(axis=0)
    scale[scale == 0] = 1.0  # shrinkage supposes like units
    scaled = training / scale
    known = np.unique(labels)
    means = np.stack([scaled[labels == label].mean(axis=0) for label in known])
    within = scaled - means[np.searchsorted(known, labels)]
    precision = LedoitWolf(assume_centered=True).fit(within).precision_
    values, vectors = np.linalg.eigh(precision)
    whitener = (vectors * np.sqrt(np.clip(values, 0, None))) / scale[:, None]
    likeness = Likeness(means * scale, whitener, 0.0, len(validation))
    limit = float(np.quantile(likeness.distances(validation), SHARE, method="higher"))
    return Likeness(likeness.means, whitener, limit, len(validation))
