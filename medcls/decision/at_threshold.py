"""How good decisions are: the metrics at a threshold, and the predictive values at a stated prevalence."""

import math

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.interval import Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS
from medcls.runs.predictions import Predictions

_BY_CHOICE = [metric for metric in METRICS.values() if metric.name != "auroc"]  # which needs no threshold


def at_threshold(
    predictions: Predictions, predicted: NDArray[np.int64], prevalence: float | None
) -> dict[str, Interval]:
    """Accuracy, sensitivity and so on of two classes where images are taken for ``predicted`` (N,), by name.

    With PPV and NPV at a prevalence in (0, 1), where there is one.
    """
    found = intervals(predictions, _BY_CHOICE, predicted=predicted)
    if prevalence is None:
        return found
    values = predictive_values(found["sensitivity"], found["specificity"], prevalence)
    return found | dict(zip(("ppv", "npv"), values, strict=True))


def predictive_values(sensitivity: Interval, specificity: Interval, prevalence: float) -> tuple[Interval, Interval]:
    """PPV and NPV at a prevalence, from sensitivity and specificity, which are measured on different images.

    Each is a function of one ratio, of false alarms over sensitivity and of misses over specificity; limits of a ratio
    from those of its parts: Donner & Zou (2012, Statistical Methods in Medical Research 21:347).
    """
    odds = prevalence / (1 - prevalence)
    return _value(_rest(specificity), sensitivity, odds), _value(_rest(sensitivity), specificity, 1 / odds)


def _rest(share: Interval) -> Interval:
    return Interval(1 - share.value, 1 - share.high, 1 - share.low, share.why)


def _value(wrong: Interval, right: Interval, odds: float) -> Interval:
    """right * odds / (right * odds + wrong)."""
    if wrong.value + right.value == 0:
        return Interval(math.nan, math.nan, math.nan, "no image is called so")
    value = right.value * odds / (right.value * odds + wrong.value)
    if math.isnan(wrong.low) or math.isnan(right.low):
        return Interval(value, math.nan, math.nan, wrong.why or right.why)
    low, high = _ratio_limits(wrong, right)
    return Interval(value, odds / (odds + high), odds / (odds + low))


def _ratio_limits(a: Interval, b: Interval) -> tuple[float, float]:
    """Limits of a / b, in [0, inf], of independent a and b."""
    product = a.value * b.value

    def root(of_a: float, of_b: float) -> float:
        return math.sqrt(max(product**2 - of_a * of_b, 0))

    # From a - x b, whose own limits are 0 there: the lower one in the form that also holds where b.high > 2 b.
    of_a, of_b = a.low * (2 * a.value - a.low), b.high * (2 * b.value - b.high)
    low = of_a / (product + root(of_a, of_b)) if of_a > 0 else 0.0
    of_a, of_b = a.high * (2 * a.value - a.high), b.low * (2 * b.value - b.low)
    return low, (product + root(of_a, of_b)) / of_b if of_b > 0 else math.inf
