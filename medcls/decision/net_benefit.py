"""Net benefit of deciding by a net, or alike for all images (Vickers & Elkin, 2006, doi 10.1177/0272989X06295361)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from medcls.evaluation.interval import LEVEL
from medcls.evaluation.measured import Units
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]

THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class NetBenefit:
    """At each threshold (T,) the net benefit of a net with pointwise limits, and of treating all; of none it is 0."""

    thresholds: Float
    net: Float
    low: Float
    high: Float
    treat_all: Float


def net_benefit(
    predictions: Predictions, prevalence: float | None = None, thresholds: Float = THRESHOLDS, level: float = LEVEL
) -> NetBenefit | None:
    """Share of true positives less that of false ones weighted by the odds of the threshold, over patients.

    prevalence: of the positive of two classes where the net is to be used; None: that of these images, which then is
    estimated too. Limits are of a mean, by t. None where a class has no image.
    """
    is_positive, units = predictions.labels == predictions.positive, Units.of(predictions)
    if is_positive.all() or not is_positive.any():
        return None
    share = float(is_positive.mean())
    weight = np.ones(len(is_positive))
    if prevalence is not None:
        weight = np.where(is_positive, prevalence / share, (1 - prevalence) / (1 - share))
    # With a stated prevalence each class varies about its own mean, else all images about one.
    sides = [np.ones_like(is_positive)] if prevalence is None else [is_positive, ~is_positive]
    score, odds = predictions.probabilities[:, predictions.positive], thresholds / (1 - thresholds)
    worth = [
        weight * np.where(score >= at, np.where(is_positive, 1.0, -o), 0.0)
        for at, o in zip(thresholds, odds, strict=True)
    ]
    net = np.array([each.mean() for each in worth])
    half = np.array([_half(each, sides, units, level) for each in worth])
    of_all = prevalence or share
    return NetBenefit(thresholds, net, net - half, net + half, of_all - (1 - of_all) * odds)


def _half(each: Float, sides: list[NDArray[np.bool_]], units: Units, level: float) -> float:
    """Half the width of the interval of the mean of ``each`` (N,), which varies about its mean on each side."""
    deviations = np.zeros_like(each)
    for side in sides:
        deviations[side] = each[side] - each[side].mean()
    error = np.sqrt((units.contributions(deviations) ** 2).sum()) / len(each)
    return float(t.ppf((1 + level) / 2, max(units.alike(units.everything) - 1, 1)) * error)
