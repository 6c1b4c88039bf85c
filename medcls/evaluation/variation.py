"""How far a metric moves from one sample of images to the next, at any true value: the basis of intervals.

The error of a metric near 0 or 1 depends on the true value: an interval whose error is taken at the estimate is far too
narrow there, down to a width of zero. Both models here take the error at the limit itself, as Wilson (1927) did
for a share, so that the limits are the true values that the estimate is just compatible with.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, ndtri, owens_t, stdtrit
from scipy.stats import norm, t
from statsmodels.stats.proportion import proportion_confint

Array = NDArray[np.float64]
Limits = tuple[float, float]

# Hits or misses up to which Wilson's limits alone can cover as little as 84 % of the time; with the wider of his and
# mid-p's there, coverage is at least 92.2 % for 10 to 1,000 images at any true value (computed, not simulated).
_FEW = 10


@dataclass(frozen=True)
class ShareVariation:
    """A share of ``n`` images, the effective number where the images of a patient depend on each other.

    df: degrees of freedom of that number, inf where images are independent (Korn & Graubard, 1998).
    f1: the metric is not the share j itself but 2j / (1 + j), as F1 is of j = TP / (TP + FP + FN).
    """

    n: float
    df: float = np.inf
    f1: bool = False

    def variance(self, value: float) -> float:
        """Variance of the metric where its true value is ``value``."""
        share = self._share(value)
        return share * (1 - share) / self.n * (4 / (1 + share) ** 4 if self.f1 else 1)

    def limits(self, value: float, level: float) -> Limits:
        """Wilson's limits and, where hits or misses are few, the wider of his and mid-p's; never of zero width."""
        tail = (1 + level) / 2
        limits = share_limits(self._share(value), self.n * (norm.ppf(tail) / t.ppf(tail, self.df)) ** 2, level)
        low, high = (2 * j / (1 + j) for j in limits) if self.f1 else limits
        return low, high

    def scaled(self, factor: float) -> "ShareVariation":
        """The same of ``factor`` times as many images and patients."""
        return replace(self, n=self.n * factor, df=(self.df + 1) * factor - 1)

    def _share(self, value: float) -> float:
        return value / (2 - value) if self.f1 else value


@dataclass(frozen=True)
class AreaVariation:
    """The mean of areas under ROC curves, each of ``m`` images of a class and ``n`` others (K,).

    inflation: the estimated variance over that of the model; df: degrees of freedom of the estimate.
    """

    m: Array
    n: Array
    inflation: float
    df: float

    def variance(self, value: float) -> float:
        """Variance of the mean where the true areas are ``value``."""
        return self.inflation * model_variance(value, self.m, self.n)

    def limits(self, value: float, level: float) -> Limits:
        """The areas from which the estimate is just as far as the error that it would have there."""
        critical = float(stdtrit(self.df, (1 + level) / 2))

        def beyond(area: float) -> float:
            return abs(area - value) - critical * math.sqrt(self.variance(area))

        return _root(beyond, 0, value) if value > 0 else 0.0, _root(beyond, value, 1) if value < 1 else 1.0

    def scaled(self, factor: float) -> "AreaVariation":
        """The same of ``factor`` times as many images and patients."""
        return replace(self, m=self.m * factor, n=self.n * factor, df=self.df * factor)


Variation = ShareVariation | AreaVariation


def share_limits(share: float, n: float, level: float) -> Limits:
    """Limits of a share of ``n`` independent images, which need not be a whole number."""
    hits, alpha = share * n, 1 - level
    low, high = map(float, proportion_confint(hits, n, alpha=alpha, method="wilson"))
    if round(min(hits, n - hits), 6) <= _FEW:  # 13 / 23 * 23 leaves ten misses, not 10.000000000000002
        low, high = min(low, _mid_p_lower(hits, n, alpha)), max(high, 1 - _mid_p_lower(n - hits, n, alpha))
    return max(low, 0.0), min(high, 1.0)


def _mid_p_lower(hits: float, n: float, alpha: float) -> float:
    """The share at which so many hits or more, those just so many counting half, have a chance of ``alpha`` / 2."""
    if hits <= 0:
        return 0.0

    def excess(share: float) -> float:
        more = betainc(hits + 1, n - hits, share) if hits < n else 0.0
        return float(betainc(hits, n - hits + 1, share) + more - alpha)

    return _root(excess, 0, 1)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where ``function`` changes its sign; the end that is nearer to it where rounding leaves it none."""
    at_low, at_high = function(low), function(high)
    if at_low * at_high > 0:
        return low if abs(at_low) < abs(at_high) else high
    return float(brentq(function, low, high, xtol=1e-9))


def model_variance(area: float, m: Array, n: Array, *, longer_tails: bool = True) -> float:
    """Variance of the mean of estimated areas, all truly ``area``, of ``m`` images of a class and ``n`` others (K,).

    For each the largest of three models: normal scores of equal variance, and Hanley & McNeil's (1982, Radiology
    143:29) with the longer tail on either side; without ``longer_tails`` the first.
    """
    # Two of a class are on the right side of one of the other with this probability (Owen, 1956).
    both = area - 2 * float(owens_t(ndtri(min(max(area, 1e-12), 1 - 1e-12)), math.sqrt(1 / 3)))
    longer, shorter = area / (2 - area), 2 * area**2 / (1 + area)
    # Of pairs that share an image on either side, the probability that both are in order, by the three models.
    of_own = np.array([[both], [longer], [shorter]]) - area**2
    of_other = np.array([[both], [shorter], [longer]]) - area**2
    pairs = area * (1 - area) + (m - 1) * of_own + (n - 1) * of_other
    largest = pairs.max(axis=0) if longer_tails else pairs[0]
    return float((np.maximum(largest, 1e-15) / (m * n)).sum()) / len(m) ** 2
