"""A difference between two variants: its interval, its p-value, and the smallest one that could have been shown."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

POWER = 0.8
_GRID = 2000


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its standard error; ``df``: degrees of freedom of that error, inf where known."""

    value: float
    error: float
    df: float

    @property
    def p(self) -> float:
        """Two-sided p-value of "no difference"; NaN without any variation to measure it by."""
        if not self.error > 0:
            return float("nan")
        return float(2 * t.sf(abs(self.value) / self.error, self.df))

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval, cut at -1 and 1, beyond which no difference of two shares can lie."""
        if not self.error > 0:
            return float("nan"), float("nan")
        half = float(t.ppf((1 + level) / 2, self.df)) * self.error
        return max(self.value - half, -1.0), min(self.value + half, 1.0)

    def smallest_shown(self, alpha: float, power: float = POWER) -> float:
        """Smallest true difference that a two-sided test at ``alpha`` finds with probability ``power``.

        Takes the standard error for the true one. May exceed 1, where nothing could have been shown.
        """
        if not self.error > 0:
            return float("nan")
        if math.isinf(self.df):
            return float(norm.isf(alpha / 2) + norm.ppf(power)) * self.error
        critical = float(t.isf(alpha / 2, self.df))
        # The noncentral t of scipy overflows for few degrees of freedom: averaged over the estimated error instead.
        limits = critical * np.sqrt(chi2.ppf((np.arange(_GRID) + 0.5) / _GRID, self.df) / self.df)

        def lacking(shift: float) -> float:
            return power - float(np.mean(norm.sf(limits - shift) + norm.cdf(-limits - shift)))

        return float(brentq(lacking, 0, 3 * critical + 5)) * self.error
