"""A difference between two variants: its interval, its p-value, and the smallest one that could have been shown."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

POWER = 0.8
_GRID = 2000
_ROUNDING = 1e-6  # a single disagreement on a hundred thousand images makes a larger error


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
        """Two-sided p-value of "no difference"; NaN without any variation to measure it by."""
        return max((float(2 * t.sf(abs(self.value) / error, df)) for error, df in self.errors), default=math.nan)

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval, cut at -1 and 1, beyond which no difference of two shares can lie."""
        half = max((float(t.ppf((1 + level) / 2, df)) * error for error, df in self.errors), default=math.nan)
        return (max(self.value - half, -1.0), min(self.value + half, 1.0)) if half > 0 else (math.nan, math.nan)

    def smallest_shown(self, alpha: float, power: float = POWER) -> float:
        """Smallest true difference that a two-sided test at ``alpha`` finds with probability ``power``.

        Takes the standard error for the true one. May exceed 1, where nothing could have been shown.
        """
        return max((_smallest(df, alpha, power) * error for error, df in self.errors), default=math.nan)


def _smallest(df: float, alpha: float, power: float) -> float:
    """Smallest difference shown, in standard errors."""
    if math.isinf(df):
        return float(norm.isf(alpha / 2) + norm.ppf(power))
    critical = float(t.isf(alpha / 2, df))
    # The noncentral t of scipy overflows for few degrees of freedom: averaged over the estimated error instead.
    limits = critical * np.sqrt(chi2.ppf((np.arange(_GRID) + 0.5) / _GRID, df) / df)

    def missing_power(shift: float) -> float:
        return power - float(np.mean(norm.sf(limits - shift) + norm.cdf(-limits - shift)))

    return float(brentq(missing_power, 0, 3 * critical + 5))
