"""How good probabilities are, whatever is decided by them: Brier score, calibration, average precision."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from medcls.decision.at_threshold import at_threshold
from medcls.decision.over_thresholds import SPECIFICITY, average_precision, sensitivity_at
from medcls.decision.score_limits import count_misplaced, few_misplaced, score_limits
from medcls.decision.temperature import log_odds
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.measured import LEAST, LEAST_ALIKE, ONE_PATIENT, Units, drawn, trust
from medcls.evaluation.variation import ShareVariation
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]


_FAR = 200.0  # log-odds beyond those of any single-precision probability


def quality(predictions: Predictions, predicted: NDArray[np.int64], prevalence: float | None) -> dict[str, Interval]:
    """Every value by name, in the order of tables; of more than two classes only what they have.

    predicted: the class (N,) that each image is taken for; prevalence: of the positive class, for PPV and NPV.
    """
    whole = {"average_precision": average_precision(predictions), "brier": brier(predictions)}
    if predictions.probabilities.shape[1] > 2:
        return whole
    decided = at_threshold(predictions, predicted, prevalence)
    found: dict[str, Interval] = {name: decided[name] for name in ("ppv", "npv") if name in decided}
    found["sensitivity_at_specificity"] = sensitivity_at(predictions, SPECIFICITY)
    slope, intercept = calibration(predictions)
    return found | whole | {"calibration_slope": slope, "calibration_intercept": intercept}


def brier(predictions: Predictions, level: float = LEVEL) -> Interval:
    """Mean squared distance of probabilities from the truth: of the positive of two classes, else summed over classes.

    In [0, 1], of more classes [0, C]. Limits are those of a share of as many images as would vary like it; where few
    images are misplaced, drawn to the number that there are, since one gross error moves it by as much as a share.
    None where one of two classes has no patient: what is most of the variance, or of the score, is not seen there.
    """
    p, units = predictions.probabilities.astype(np.float64), Units.of(predictions)
    errors = (p - np.eye(p.shape[1])[predictions.labels]) ** 2
    largest = 1 if p.shape[1] == 2 else p.shape[1]
    each = (errors[:, 0] if largest == 1 else errors.sum(axis=1)) / largest
    value, n = float(each.mean()), units.n_patients
    if n < LEAST:
        return Interval(value * largest, math.nan, math.nan, "fewer than five images or patients")
    if (alike := units.alike(units.everything)) < LEAST_ALIKE:
        return Interval(value * largest, math.nan, math.nan, ONE_PATIENT)
    sides = [predictions.labels == label for label in range(2)]
    if largest == 1 and (why := units.too_few(sides, 1, in_fold=0)):
        return Interval(value, math.nan, math.nan, why)
    error = float((units.contributions((each - value) / len(each)) ** 2).sum())
    known = trust(4 * count_misplaced(units, predictions.labels) * alike / n)
    # Without misplaced images: as many as if those of a patient are all alike.
    effective = drawn(known, value * (1 - value) / error if error > 0 else alike, alike)
    low, high = ShareVariation(effective, alike - 1).limits(value, level)
    return Interval(value * largest, low * largest, high * largest)


def calibration(predictions: Predictions, level: float = LEVEL) -> tuple[Interval, Interval]:
    """Slope and intercept of calibration of the positive of two classes: 1 and 0 where probabilities hold.

    Slope: of a logistic regression of the class on the log-odds; below 1 they are too extreme. Intercept: with a slope
    of 1; below 0 they are too high on the whole (Cox, 1958; Van Calster et al., 2019, doi 10.1186/s12916-019-1466-7).
    Limits of the slope are by a sandwich over patients with t tails, as many degrees of freedom as patients that count
    alike would give (in the manner of Satterthwaite, 1946); those of the intercept by ``score_limits``.
    """
    truth = (predictions.labels == predictions.positive).astype(np.float64)
    odds, units = log_odds(predictions.probabilities[:, predictions.positive]), Units.of(predictions)
    sides = [truth == 1, truth == 0]
    if why := units.too_few(sides, LEAST, in_fold=0):
        return (Interval(math.nan, math.nan, math.nan, why),) * 2
    few = few_misplaced(units, predictions.labels)
    intercept = _intercept(truth, odds, units, level)
    if np.ptp(odds) == 0:
        return Interval(math.nan, math.nan, math.nan, "one probability for all images"), intercept
    # Classes that meet in one value have no end either (quasi-complete separation: Albert & Anderson, 1984).
    if odds[sides[0]].min() >= odds[sides[1]].max() or odds[sides[0]].max() <= odds[sides[1]].min():
        slope = Interval(math.nan, math.nan, math.nan, "the classes do not overlap, so it has no end")
    else:
        slope = _slope(truth, odds, units, level)
    return _without_limits(slope, few), _without_limits(intercept, few)


def _without_limits(one: Interval, why: str) -> Interval:
    """The same, without limits where a reason says why these would not hold."""
    return Interval(one.value, math.nan, math.nan, one.why or why) if why else one


def _intercept(truth: Float, odds: Float, units: Units, level: float) -> Interval:
    """What the log-odds are to be raised by, so that as many images as expected are of the class."""

    def score(intercept: float) -> tuple[Float, float, float]:
        p = expit(odds + intercept)
        return truth - p, float((p * (1 - p)).sum()), float((p * (1 - p) * (1 - 2 * p)).sum())

    value = float(brentq(lambda at: score(at)[0].sum(), -_FAR, _FAR, xtol=1e-12))
    return Interval(value, *score_limits(score, value, (-_FAR, _FAR), units, score(value)[1], level))


def _slope(truth: Float, odds: Float, units: Units, level: float) -> Interval:
    """That of a logistic regression of ``truth`` (N,) on the log-odds (N,)."""
    x = np.stack([np.ones_like(odds), odds], axis=1)
    with np.errstate(over="ignore"):  # on the way to a probability of 0
        fitted = GLM(truth, x, Binomial()).fit(tol=1e-10)
    # Not its cov_type="cluster", which divides by the variance of images, 0 where a probability is next to 0 or 1.
    p, n = expit(x @ fitted.params), units.n_patients
    scores = np.stack([units.summed(column) for column in (x * (truth - p)[:, None]).T], axis=1)
    moves = scores @ np.linalg.pinv((x * (p * (1 - p))[:, None]).T @ x)
    squares = moves[:, -1] ** 2
    error = math.sqrt(float(squares.sum()) * n / (n - 1))
    # Few patients make up most of it: as many degrees of freedom as patients that all counted alike would give.
    alike = float(squares.sum() ** 2 / max((squares**2).sum(), 1e-300))
    value, half = float(fitted.params[-1]), float(t.ppf((1 + level) / 2, max(alike - 1, 1))) * error
    return Interval(value, value - half, value + half)
