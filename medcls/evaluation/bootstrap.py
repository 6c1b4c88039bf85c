"""Intervals of the user's own metrics, of which nothing is known but their formula: a bootstrap of patients.

The built-in metrics have methods of their own (``medcls.evaluation.intervals``), which hold near 0 and 1 too. A
bootstrap is too narrow there, and for a class with a handful of images.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from medcls.errors import UserError
from medcls.evaluation.interval import Interval
from medcls.evaluation.measured import LEAST_ALIKE, ONE_PATIENT, Units
from medcls.runs.predictions import Predictions

log = logging.getLogger(__name__)

RESAMPLES = 500  # seconds for a formula, where 2,000 could take a minute


def bootstrap_interval(
    formula: Callable[[NDArray[Any], NDArray[Any], int], float], predictions: Predictions, level: float
) -> Interval:
    """Percentile interval of ``formula`` over patients drawn with all their images (Field & Welsh, 2007).

    Images of no known patient are drawn alone. The number of images of a class is random, as for other images drawn
    like these; a resample without a class that the images have is drawn again. The tails are those of the t
    distribution: percentiles alone are too narrow by a factor of sqrt((n - 1) / n) and more (Hesterberg, 2015, doi
    10.1080/00031305.2015.1089789), n being the effective number of patients. No limits for fewer than two patients,
    and where the formula fails or is undefined on a resample, or gives the same on all.
    """
    value = formula(predictions.labels, predictions.probabilities, predictions.positive)
    units = Units.of(predictions)
    patient, n = units.patient, units.alike(units.everything)
    if units.n_patients < 2:
        return Interval(value, np.nan, np.nan, "fewer than two images or patients")
    if not np.isfinite(value) or n < LEAST_ALIKE:
        return Interval(value, np.nan, np.nan, ONE_PATIENT if np.isfinite(value) else "undefined")
    values = np.full(RESAMPLES, np.nan)
    rng = np.random.default_rng(0)
    try:
        for i in range(RESAMPLES):
            rows = _draw(patient, predictions.labels, rng)
            values[i] = formula(predictions.labels[rows], predictions.probabilities[rows], predictions.positive)
    except UserError as error:  # it did not fail on all images, whose value stays good
        log.warning("no interval: on a resample of the images, %s", error)
        return Interval(value, np.nan, np.nan, "it failed on a resample of the images")
    if not np.isfinite(values).all():
        return Interval(value, np.nan, np.nan, "it is undefined on a resample of the images")
    tail = norm.cdf(np.sqrt(n / (n - 1)) * t.ppf((1 - level) / 2, n - 1))
    low, high = map(float, np.quantile(values, [tail, 1 - tail]))
    return Interval(value, low, high) if low < high else Interval(value, np.nan, np.nan, "the same on all resamples")


def _draw(patient: NDArray[np.intp], labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows of the images of patients drawn with replacement, with an image of each class that there is."""
    n, present = int(patient.max()) + 1, len(np.unique(labels))
    while True:
        counts = np.bincount(rng.integers(n, size=n), minlength=n)
        rows = np.repeat(np.arange(len(labels)), counts[patient])
        if len(np.unique(labels[rows])) == present:
            return rows
