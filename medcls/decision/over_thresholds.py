"""Metrics over all thresholds: sensitivity where the specificity is fixed, and average precision."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.measured import LEAST, LEAST_OF_MANY, Units, drawn, trust
from medcls.evaluation.variation import ShareVariation
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]
OnResamples = Callable[[Float], Float]  # a metric (R,) of images drawn (R, N) times

SPECIFICITY = 0.9  # at which the sensitivity is shown
RESAMPLES = 500
MOST_CLASSES = 20  # whose average precision is resampled
_CHUNK = 2**21  # numbers of draws held at a time
_BESIDE = 1.5  # variance over that of a share of the class's images, where it cannot be estimated


def sensitivity_at(predictions: Predictions, specificity: float, level: float = LEVEL) -> Interval:
    """Share of the positive class above the lowest threshold that reaches ``specificity`` in [0, 1] on these images.

    The threshold is estimated from the same images; that another sample would put it elsewhere is in the interval.
    """
    steps, k = Steps(predictions, predictions.positive), predictions.positive

    def metric(counts: Float) -> Float:
        hits, false_alarms = steps.passed(counts)
        return np.asarray(np.where(false_alarms <= 1 - specificity + 1e-12, hits, 0.0).max(axis=1, initial=0.0))

    sides = [predictions.labels == k, predictions.labels != k]
    return _interval(metric, predictions, sides, LEAST, level)


def average_precision(predictions: Predictions, level: float = LEVEL) -> Interval:
    """Precision at each recall, averaged over images of the positive of two classes; of more the mean."""
    n_classes = predictions.probabilities.shape[1]
    classes = [predictions.positive] if n_classes == 2 else list(range(n_classes))
    steps = [Steps(predictions, k) for k in classes]

    def metric(counts: Float) -> Float:
        return np.asarray(np.mean([one.average_precision(counts) for one in steps], axis=0))

    sides = [predictions.labels == k for k in classes]
    sides += [~sides[0]] * (n_classes == 2)
    if n_classes > MOST_CLASSES:
        value = float(metric(np.ones((1, len(predictions.labels))))[0])
        return Interval(value, math.nan, math.nan, f"it would take long for more than {MOST_CLASSES} classes")
    return _interval(metric, predictions, sides, LEAST if n_classes == 2 else LEAST_OF_MANY, level)


class Steps:
    """Images in the order of their probability of class k, those of equal probability as one step."""

    def __init__(self, predictions: Predictions, k: int) -> None:
        score = predictions.probabilities[:, k].astype(np.float64)
        self.order = np.argsort(-score, kind="stable")
        self.last = np.append(np.diff(score[self.order]) != 0, True)
        self.is_class = (predictions.labels == k)[self.order]

    def above(self, counts: Float) -> tuple[Float, Float]:
        """Numbers (R, S) of images of the class and of others from each step on, of images drawn ``counts`` (R, N)."""
        found = counts[:, self.order]
        hits, others = (np.cumsum(found * side, axis=1)[:, self.last] for side in (self.is_class, ~self.is_class))
        return hits, others

    def passed(self, counts: Float) -> tuple[Float, Float]:
        """The same as shares of the class and of the others; NaN of none."""
        with np.errstate(invalid="ignore"):
            hits, others = (side / side[:, -1:] for side in self.above(counts))
        return hits, others

    def average_precision(self, counts: Float) -> Float:
        """Average precision (R,); NaN without an image of the class."""
        hits, others = self.above(counts)
        with np.errstate(invalid="ignore"):
            precision = hits / (hits + others)
            gained = np.diff(hits, axis=1, prepend=0.0) / hits[:, -1:]
        return np.asarray(np.where(gained > 0, gained * precision, gained * 0).sum(axis=1))


def _interval(
    metric: OnResamples, predictions: Predictions, sides: list[NDArray[np.bool_]], least: int, level: float
) -> Interval:
    """Limits of a share of as many images of the class as would vary like the metric over resamples of patients."""
    units = Units.of(predictions)
    if why := units.too_few(sides, 1, in_fold=0):
        return Interval(math.nan, math.nan, math.nan, why)
    value = float(metric(np.ones((1, len(predictions.labels))))[0])
    if why := units.too_few(sides, least, in_fold=0):
        return Interval(value, math.nan, math.nan, why)
    values = np.concatenate([metric(counts) for counts in _draws(units)])
    classes = sides if least == LEAST_OF_MANY else sides[:1]
    n, patients = len(classes) ** 2 / sum(1 / side.sum() for side in classes), min(map(units.count, classes))
    sizes = np.bincount(units.patient[np.any(classes, axis=0)])
    independent = value * (1 - value) / n
    inflation = float(np.nanvar(values, ddof=1)) / independent if independent > 0 else 1.0
    prior = _BESIDE * float((sizes**2).sum() / sizes.sum())
    inflation = drawn(trust(4 * patients * value * (1 - value)), inflation, prior)
    df = max(units.alike(np.any(sides, axis=0)) - 1, 1) if units.clustered else math.inf
    return Interval(value, *ShareVariation(n / inflation, df).limits(min(max(value, 0.0), 1.0), level))


def _draws(units: Units) -> Iterator[Float]:
    """How often each image was drawn in each of ``RESAMPLES`` resamples of patients, in parts (R, N)."""
    n, rng = units.n_patients, np.random.default_rng(0)
    at_once = max(1, _CHUNK // len(units.patient))
    for start in range(0, RESAMPLES, at_once):
        drawn_patients = rng.multinomial(n, np.full(n, 1 / n), size=min(at_once, RESAMPLES - start))
        yield drawn_patients[:, units.patient].astype(np.float64)
