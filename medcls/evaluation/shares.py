"""Metrics that are shares of images, or means of shares over classes and folds, with the influence of each patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.formulas import counted_classes
from medcls.evaluation.measured import LEAST, LEAST_OF_MANY, Mask, Measured, Units, trust, undefined
from medcls.evaluation.variation import ShareVariation
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]
Cell = tuple[Mask, Mask]  # the images (N,) that a share is of, and those that count as hits


def measure_accuracy(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """Share of images whose most probable class is theirs; ``classes`` do not matter.

    Influences give the covariance of correctness; with several images of a patient that of a ratio of patients' sums
    (Rao & Scott, 1992).
    """
    units = units or Units.of(predictions)
    everything = np.ones(len(predictions.labels), bool)
    return _mean(units, [(everything, units.predicted == predictions.labels)])


def measure_sensitivity(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """Share of a class's images that is recognised, the mean over ``classes``."""
    units = units or Units.of(predictions)
    labels, predicted = predictions.labels, units.predicted
    return _mean(units, [(labels == k, predicted == k) for k in _classes(predictions, classes)])


def measure_specificity(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """Share of the other images that is not taken for the class, the mean over ``classes``."""
    units = units or Units.of(predictions)
    labels, predicted = predictions.labels, units.predicted
    return _mean(units, [(labels != k, predicted != k) for k in _classes(predictions, classes)])


def measure_balanced_accuracy(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """Mean over all classes of the share that is recognised."""
    return measure_sensitivity(predictions, range(predictions.probabilities.shape[1]), units)


def measure_f1(predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None) -> Measured:
    """Harmonic mean of sensitivity and precision, 2j / (1 + j) of the share j = TP / (TP + FP + FN)."""
    units = units or Units.of(predictions)
    labels, predicted = predictions.labels, units.predicted
    chosen = _classes(predictions, classes)
    cells = [((labels == k) | (predicted == k), (labels == k) & (predicted == k)) for k in chosen]
    return _mean(units, cells, needed=[labels == k for k in chosen], f1=True)


def _mean(units: Units, cells: Sequence[Cell], *, needed: Sequence[Mask] | None = None, f1: bool = False) -> Measured:
    """Mean of the shares of ``cells`` in each fold, by the effective number of images that its variance tells of.

    needed: images without which a share means nothing, by default those it is of.
    Korn & Graubard (1998, Survey Methodology 24:193) do so for one share of clustered images.
    """
    needed = needed or [images for images, _ in cells]
    if why := units.too_few(needed, 1, in_fold=1):
        return undefined(units, np.nan, why)
    parts = [(images & fold, hit) for fold in units.folds for images, hit in cells]
    shares = np.array([hit[images].mean() for images, hit in parts])
    value = float(np.mean(2 * shares / (1 + shares) if f1 else shares))
    least = LEAST_OF_MANY if len(cells) > 1 else LEAST if units.clustered else 1
    if why := units.too_few(needed, least):
        return undefined(units, value, why)
    single = np.zeros(len(units.patient))
    for (images, hit), share in zip(parts, shares, strict=True):
        slope = 2 / (1 + share) ** 2 if f1 else 1.0
        single[images] += slope * (hit[images] - share) / images.sum() / len(parts)
    at = value / (2 - value) if f1 else value
    slope = 2 / (1 + at) ** 2 if f1 else 1.0
    n_most = len(parts) ** 2 / sum(1 / images.sum() for images, _ in parts)
    involved = np.any([images for images, _ in cells], axis=0)
    return _measured(units, involved, value, single, ShareVariation(n_most, f1=f1), at * (1 - at) * slope**2)


def _measured(
    units: Units, involved: Mask, value: float, single: Float, most: ShareVariation, binomial: float
) -> Measured:
    """The metric from its influences (N,) by image.

    most: its variation if images were independent and classes alike; binomial: that times the number of images.
    """
    patients = units.count(involved)
    influence = units.summed(single) * np.sqrt(patients / max(patients - 1, 1))
    independent = variance = float((single**2).sum())
    effect, df = 1.0, np.inf
    if units.clustered:
        variance = float((influence**2).sum())
        sizes = np.bincount(units.patient[involved])
        # Without misplaced images: the design effect when the images of a patient are all alike.
        effect = max(variance / independent, 1.0) if independent > 0 else float((sizes**2).sum() / sizes.sum())
        df = patients - 1
    n = most.n / effect
    if variance > 0:
        n = min(n, binomial / variance)
    known = trust(4 * patients * value * (1 - value))
    return Measured(value, influence, ShareVariation(float(n), df, most.f1), known)


def _classes(predictions: Predictions, classes: Sequence[int] | None) -> Sequence[int]:
    return counted_classes(predictions.probabilities.shape[1], predictions.positive) if classes is None else classes
