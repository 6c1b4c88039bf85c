"""What a comparison can show: the smallest difference, and how many seeds, images or patients another would take.

Errors are those at the true values supposed, never those at the ceiling where there are none.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

from medcls.evaluation.difference import Recovered
from medcls.evaluation.variation import Variation

POWER = 0.8
MOST_SEEDS, MOST_TIMES = 50, 1000  # beyond which no design is planned
_GRID = 400
_BOTH = 0.3  # share of the missing power that either of two ways must add so that both together have it


@dataclass(frozen=True)
class Needed:
    """Seeds of each variant, images, or patients with which a difference is shown, each changed alone; None: too many.

    patients is None too where none are known.
    """

    seeds: int | None
    images: int | None
    patients: int | None


@dataclass(frozen=True)
class Range:
    """An estimate, and where 90 % of studies like this one would have it."""

    low: float
    value: float
    high: float


@dataclass(frozen=True, eq=False)
class Design:
    """A finished comparison as the plan of one like it.

    best: the better variant's metric; seeds, variations: of the two. within, between: correlation of nets of one
    variant and of both, by their images. spread: variance over seeds (median-unbiased), of which ``images``, the
    variance of one net over images, explains a part. covers_seeds: whether seeds were several, so that others could be
    drawn. n_images, n_patients: on which the metric was measured, patients 0 where unknown.
    """

    best: float
    seeds: tuple[int, int]
    variations: tuple[Variation, Variation]
    within: float
    between: float
    spread: float
    images: float
    covers_seeds: bool
    n_images: int
    n_patients: int

    @property
    def seed_variance(self) -> float:
        """Variance of a net's true metric over seeds."""
        return max(self.spread - (1 - self.within) * self.images, 0.0) if self.covers_seeds else 0.0

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlation (J + K, J + K) of all nets over images."""
        variant = np.repeat([0, 1], self.seeds)
        matrix = np.where(variant[:, None] == variant, self.within, self.between)
        np.fill_diagonal(matrix, 1)
        return matrix

    def with_images(self, times: float) -> "Design":
        """The same nets on ``times`` as many images and patients: what seeds differ by in truth stays."""
        images, variations = self.images / times, (self.variations[0].scaled(times), self.variations[1].scaled(times))
        spread = self.seed_variance + (1 - self.within) * images
        return replace(self, variations=variations, images=images, spread=spread)

    def shows(self, difference: float, alpha: float, power: float = POWER) -> bool:
        """Whether a variant worse by ``difference`` is found so with ``power`` by a two-sided test at ``alpha``.

        By both ways that a comparison goes (``medcls.evaluation.difference``): the limits of nets at so large a
        deviate, and the spread of seeds with an error estimated from as many. Both have to find it, so each has to with
        a higher power: with 80 % each, 66 to 73 % of simulated studies found it.
        """
        power += _BOTH * (1 - power)
        counts = np.array(self.seeds)
        values = np.repeat([self.best - difference, self.best], counts)
        weights = np.repeat([-1 / counts[0], 1 / counts[1]], counts)
        variations = [variation for variation, n in zip(self.variations, counts, strict=True) for _ in range(n)]
        level = 1 - 2 * norm.sf(norm.isf(alpha / 2) + norm.ppf(power))
        if Recovered(weights, values, variations, self.correlation).interval(level)[0] <= 0:
            return False
        error, df = self.error(difference)
        return difference > factor(float(f"{df:.2g}") if df < 100 else math.inf, alpha, power) * error

    def error(self, difference: float) -> tuple[float, float]:
        """Standard error over seeds and images, with the degrees of freedom of its estimate."""
        counts = np.array(self.seeds)
        at = (self.best - difference, self.best)
        variance = np.array([v.variance(value) for v, value in zip(self.variations, at, strict=True)])
        scale = np.repeat(np.sqrt(variance), counts) * np.repeat([-1 / counts[0], 1 / counts[1]], counts)
        total = float(scale @ self.correlation @ scale) + float((self.seed_variance / counts).sum())
        own = (self.seed_variance + (1 - self.within) * variance) / counts
        uncertain = float((own**2 / (counts - 1)).sum()) if self.covers_seeds else 0.0
        return math.sqrt(max(total, 0)), total**2 / uncertain if uncertain > 0 else math.inf

    def smallest(self, alpha: float, power: float = POWER) -> float:
        """The smallest true difference that is shown with ``power``; NaN where none would be."""
        if not self.shows(self.best - 1e-6, alpha, power):
            return math.nan
        low, high = 0.0, self.best
        while high - low > 5e-4:
            middle = (low + high) / 2
            low, high = (low, middle) if self.shows(middle, alpha, power) else (middle, high)
        return high

    def smallest_range(self, alpha: float, power: float = POWER) -> Range:
        """``smallest`` with what this study leaves open: the spread of seeds, and how good the better variant is."""
        df = max(sum(self.seeds) - 2, 1)
        value, found = self.smallest(alpha, power), []
        level = 0.8  # of the metric: both at their ends at once is rarer than either
        for best, tail in zip(self.variations[1].limits(self.best, level), (0.1, 0.9), strict=True):
            spread = self.spread * chi2.ppf(0.5, df) / chi2.ppf(tail, df)
            found.append(replace(self, best=best, spread=spread).smallest(alpha, power))
        high = math.nan if any(map(math.isnan, found)) else max(*found, value)
        return Range(min([one for one in found if one == one] + [value]), value, high)

    def needed(self, difference: float, alpha: float, power: float = POWER) -> Needed:
        """How many seeds, or images, or patients would show ``difference`` with ``power``, all else as it is."""
        more_seeds = range(2, MOST_SEEDS + 1) if self.covers_seeds else ()
        seeds = next((n for n in more_seeds if replace(self, seeds=(n, n)).shows(difference, alpha, power)), None)

        def missing(times: float) -> float:
            return 0.5 - self.with_images(times).shows(difference, alpha, power)

        if missing(MOST_TIMES) > 0:
            return Needed(seeds, None, None)
        low, high = 0.01, float(MOST_TIMES)
        while high / low > 1.01:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if missing(middle) < 0 else (middle, high)
        patients = math.ceil(high * self.n_patients) if self.n_patients else None
        return Needed(seeds, math.ceil(high * self.n_images), patients)

    def power_of_equivalence(self, margin: float, alpha: float = 0.05) -> float:
        """Probability that two variants without any difference are found equivalent within ``margin``."""
        error, df = self.error(0.0)
        counts = np.array(self.seeds)
        values, weights = np.full(sum(counts), self.best), np.repeat([-1 / counts[0], 1 / counts[1]], counts)
        variations = [variation for variation, n in zip(self.variations, counts, strict=True) for _ in range(n)]
        low, high = Recovered(weights, values, variations, self.correlation).interval(1 - 2 * alpha)
        half = np.maximum(max(-low, high), t.isf(alpha, df) * error * _estimated_errors(df))
        if error == 0:
            return float(half.max() < margin)
        return float(np.maximum(2 * norm.cdf((margin - half) / error) - 1, 0).mean())


def _estimated_errors(df: float) -> np.ndarray:
    """Quantiles of an error estimated with ``df`` degrees of freedom, as parts of the true one."""
    shares = (np.arange(_GRID) + 0.5) / _GRID
    return np.asarray(np.sqrt(chi2.ppf(shares, df) / df) if math.isfinite(df) else np.ones(1))


@lru_cache(maxsize=1000)
def factor(df: float, alpha: float, power: float = POWER) -> float:
    """Smallest true difference, in true standard errors, that a two-sided t test at ``alpha`` shows with ``power``."""
    if math.isinf(df):
        return float(norm.isf(alpha / 2) + norm.ppf(power))
    critical = float(t.isf(alpha / 2, df))
    # The noncentral t of scipy overflows for few degrees of freedom: averaged over the estimated error instead.
    limits = critical * _estimated_errors(df)

    def missing_power(shift: float) -> float:
        return power - float(np.mean(norm.sf(limits - shift) + norm.cdf(-limits - shift)))

    return float(brentq(missing_power, 0, 3 * critical + 5))
