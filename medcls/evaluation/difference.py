"""A difference between two variants: ways to give it an interval and a p-value, and the more cautious of several.

Each way inverts its own test: p is 1 minus the level at which its interval touches 0, so that the two never disagree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm, t

from medcls.evaluation.variation import Variation

Array = NDArray[np.float64]
_ROUNDING = 1e-6  # a single disagreement on a hundred thousand images makes a larger error
_FARTHEST = 6.0  # standard normal deviate beyond which p, 2e-9, is not distinguished from 0


class Estimate(Protocol):
    """A difference with an interval and a two-sided p-value of "no difference"; NaN without any variation."""

    @property
    def value(self) -> float: ...
    @property
    def p(self) -> float: ...
    def interval(self, level: float) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its standard error; ``df``: degrees of freedom of that error, inf where known.

    ``least``: a known standard error that the true one cannot be below. Every answer is the more cautious of those by
    either error, so that an estimate from few values, small by chance, claims no more than is known otherwise.
    """

    value: float
    error: float
    df: float
    least: float = 0.0

    @property
    def errors(self) -> list[tuple[float, float]]:
        """Standard errors to judge by, each with its degrees of freedom; none where there is no variation."""
        return [(error, df) for error, df in ((self.error, self.df), (self.least, math.inf)) if error > _ROUNDING]

    @property
    def p(self) -> float:
        return max((float(2 * t.sf(abs(self.value) / error, df)) for error, df in self.errors), default=math.nan)

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval, cut at -1 and 1, beyond which no difference of two shares can lie."""
        half = max((float(t.ppf((1 + level) / 2, df)) * error for error, df in self.errors), default=math.nan)
        return (max(self.value - half, -1.0), min(self.value + half, 1.0)) if half > 0 else (math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class Recovered:
    """The difference of two means of nets, from the limits of each net (MOVER: Zou & Donner, 2008, Stat Med 27:1693).

    weights, values (J,): of each net, weights negative for those of the one variant; correlation: (J, J). The limits
    of nets are wide where the error at the estimate is small by chance: near 1, and for few images of a class.
    """

    weights: Array
    values: Array
    variations: Sequence[Variation]
    correlation: Array

    @property
    def value(self) -> float:
        return float(self.weights @ self.values)

    @property
    def p(self) -> float:
        if abs(self.value) < _ROUNDING:
            return 1.0

        @cache
        def beyond(deviate: float) -> float:
            low, high = self._limits(float(2 * norm.cdf(deviate) - 1))
            return low if self.value > 0 else -high

        # Limits move almost in proportion to the deviate: the root is near where that would have it.
        near = 2 * abs(self.value) / max(abs(self.value) - beyond(2), 1e-9)
        low, high = np.clip([0.8 * near, 1.2 * near], 1e-3, _FARTHEST).tolist()
        low, high = low if beyond(low) > 0 else 1e-3, high if beyond(high) < 0 else _FARTHEST
        if beyond(high) > 0:
            return float(2 * norm.sf(_FARTHEST))
        return float(2 * norm.sf(brentq(beyond, low, high, xtol=1e-5))) if beyond(low) > 0 else 1.0

    def interval(self, level: float) -> tuple[float, float]:
        low, high = self._limits(level)
        return max(low, -1.0), min(high, 1.0)

    def _limits(self, level: float) -> tuple[float, float]:
        # Of the nets of a plan, each variant's are alike: their limits are found once.
        pairs = [(id(variation), value) for variation, value in zip(self.variations, self.values, strict=True)]
        unlike = dict(zip(pairs, self.variations, strict=True))
        limits = {pair: variation.limits(pair[1], level) for pair, variation in unlike.items()}
        low, high = np.array([limits[pair] for pair in pairs]).T
        down = self.weights * np.where(self.weights > 0, self.values - low, high - self.values)
        up = self.weights * np.where(self.weights > 0, high - self.values, self.values - low)
        below, above = (float(np.sqrt(max(side @ self.correlation @ side, 0))) for side in (down, up))
        return self.value - below, self.value + above


@dataclass(frozen=True)
class PairedShares:
    """Share of b minus share of a on the same ``n`` images, of which a or b alone had so many right.

    The score interval of Tango (1998, Stat Med 17:891), whose test of no difference is McNemar's, without correction:
    Fagerland, Lydersen & Laake (2014, doi 10.1002/sim.6148) recommend both.
    """

    only_a: int
    only_b: int
    n: int

    @property
    def value(self) -> float:
        return (self.only_b - self.only_a) / self.n

    @property
    def p(self) -> float:
        return float(2 * norm.sf(abs(self._score(0.0))))

    def interval(self, level: float) -> tuple[float, float]:
        critical = float(norm.ppf((1 + level) / 2))
        return (
            brentq(lambda d: self._score(d) - critical, -1.0, self.value) if self.value > -1 else -1.0,
            brentq(lambda d: self._score(d) + critical, self.value, 1.0) if self.value < 1 else 1.0,
        )

    def _score(self, difference: float) -> float:
        """Standardized distance of the estimate from a true ``difference``, falling in it."""
        distance = self.only_b - self.only_a - self.n * difference
        if distance == 0:
            return 0.0
        # The likeliest share of images that a alone has right where b's share is larger by ``difference``.
        linear = -self.only_b - self.only_a + (2 * self.n - self.only_b + self.only_a) * difference
        constant = -self.only_a * difference * (1 - difference)
        only_a = (math.sqrt(linear**2 - 8 * self.n * constant) - linear) / (4 * self.n)
        variance = self.n * (2 * only_a + difference * (1 - difference))
        return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance)


@dataclass(frozen=True)
class Widest:
    """The most cautious answer of several estimates of one difference."""

    parts: tuple[Estimate, ...]

    @property
    def value(self) -> float:
        return self.parts[0].value

    @property
    def p(self) -> float:
        return max(part.p for part in self.parts if not math.isnan(part.p))

    def interval(self, level: float) -> tuple[float, float]:
        limits = np.array([part.interval(level) for part in self.parts])
        return float(np.nanmin(limits[:, 0])), float(np.nanmax(limits[:, 1]))
