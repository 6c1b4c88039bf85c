"""How often images are of the positive class among those of like probability."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.measured import Units
from medcls.evaluation.shares import measure_share
from medcls.runs.predictions import Predictions

BINS, FEWEST = 10, 10  # bins at most, and images of each at least


@dataclass(frozen=True)
class Bin:
    """Images of like probability: their number, their mean probability, the share of hits with its interval."""

    n: int
    probability: float
    share: Interval


def reliability(predictions: Predictions, bins: int | None = None, level: float = LEVEL) -> list[Bin]:
    """Bins of equal numbers of images by probability, at most ten bins of at least ten images unless ``bins`` says.

    The probability is that of the positive of two classes, of more that of the chosen one; a hit is an image of that
    class. Equal probabilities are in one bin, so that there may be fewer. Intervals are those of shares, over patients.
    """
    units, labels = Units.of(predictions), predictions.labels
    of = np.full(len(labels), predictions.positive) if predictions.probabilities.shape[1] == 2 else units.predicted
    p = predictions.probabilities[np.arange(len(labels)), of].astype(np.float64)
    bins = bins or max(1, min(BINS, len(p) // FEWEST))
    return [_bin(units, p, labels == of, images, level) for images in _divided(p, bins)]


def _divided(p: NDArray[np.float64], bins: int) -> list[NDArray[np.bool_]]:
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]))
    number = np.searchsorted(edges, p)  # edges belong to the bin below, as calzone and scikit-learn have them
    return [number == k for k in np.unique(number)]


def _bin(units: Units, p: NDArray[np.float64], hit: NDArray[np.bool_], images: NDArray[np.bool_], level: float) -> Bin:
    found = measure_share(units, images, hit)
    return Bin(int(images.sum()), float(p[images].mean()), Interval(found.value, *found.limits(level), found.why))
