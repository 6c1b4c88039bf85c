"""Metrics that are shares of images, or means of shares over classes and folds, with the influence of each patient."""

from collections.abc import Sequence
from dataclasses import replace

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
    return _mean(units, [(units.everything, units.predicted == predictions.labels)])


def measure_sensitivity(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """Share of a class's images that is recognized, the mean over ``classes``."""
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
    """Mean over all classes of the share that is recognized."""
    return measure_sensitivity(predictions, range(predictions.probabilities.shape[1]), units)


def measure_f1(predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None) -> Measured:
    """Harmonic mean of sensitivity and precision, 2j / (1 + j) of the share j = TP / (TP + FP + FN)."""
    units = units or Units.of(predictions)
    labels, predicted = predictions.labels, units.predicted
    chosen = _classes(predictions, classes)
    cells = [((labels == k) | (predicted == k), (labels == k) & (predicted == k)) for k in chosen]
    return _mean(units, cells, needed=[labels == k for k in chosen], f1=True)


def measure_share(units: Units, images: Mask, hit: Mask) -> Measured:
    """Share of ``images`` (N,) that count as hits (N,); NaN of none."""
    return _mean(units, [(images, hit)])


def _mean(units: Units, cells: Sequence[Cell], *, needed: Sequence[Mask] | None = None, f1: bool = False) -> Measured:
    """Mean of the shares of ``cells`` in each fold, with the effective number of images that its variance implies.

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
    return _measured(units, parts, shares, value, f1)


def _measured(units: Units, parts: Sequence[Cell], shares: Float, value: float, f1: bool) -> Measured:
    """The mean of the metrics of ``parts``, whose shares are known, with its variance over patients."""
    single, influence = np.zeros(len(units.patient)), np.zeros(units.n_patients)
    squares, degrees = [], []
    for (images, hit), share in zip(parts, shares, strict=True):
        deviations = (hit[images] - share) / images.sum() / len(parts) * (2 / (1 + share) ** 2 if f1 else 1)
        single[images] += deviations
        degrees.append(max(units.alike(images) - 1, 1))
        sums = np.bincount(units.patient[images], deviations, units.n_patients)
        of_part = sums * units.correction(images, deviations)
        influence += of_part
        squares.append(float((of_part**2).sum()))
    everything = np.any([images for images, _ in parts], axis=0)
    sizes = np.bincount(units.patient[everything])
    known = trust(4 * np.count_nonzero(sizes) * value * (1 - value))
    error = independent = float((single**2).sum())
    variation = ShareVariation(len(parts) ** 2 / sum(1 / images.sum() for images, _ in parts), f1=f1)
    if units.clustered:
        error = float((influence**2).sum())
        # Without misplaced images: the design effect when the images of a patient are all alike.
        effect = (sizes**2).sum() / sizes.sum()
        if independent > 0:
            # With few, how those of a patient with many images go together has hardly been seen.
            unequal = np.count_nonzero(sizes) / units.alike(everything)
            effect = max(error / independent, 1.0) * unequal ** (1 - known)
        variation = ShareVariation(variation.n / effect, _satterthwaite(squares, degrees), f1)
    if error > 0:  # at most the number of images with which a single share would have this error
        variation = replace(variation, n=min(1, variation.variance(value) / error) * variation.n)
    return Measured(value, influence, variation, known)


def _satterthwaite(squares: Sequence[float], degrees: Sequence[float]) -> float:
    """Degrees of freedom of a sum of estimated variances; of none the fewest."""
    total = sum(squares)
    return total**2 / sum(s**2 / df for s, df in zip(squares, degrees, strict=True)) if total else min(degrees)


def _classes(predictions: Predictions, classes: Sequence[int] | None) -> Sequence[int]:
    return counted_classes(predictions.probabilities.shape[1], predictions.positive) if classes is None else classes
