"""Which of two variants is better, how sure that is, and of what: other images, or other images and other seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from medcls.evaluation.constant import constant
from medcls.evaluation.difference import Difference, Estimate, PairedShares, Recovered, Widest
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.measured import Measured
from medcls.evaluation.metrics import COMPARED, Metric
from medcls.evaluation.pairing import Pairing, pair
from medcls.evaluation.planning import Design, Range
from medcls.evaluation.pooled import CrossValidated
from medcls.evaluation.seeds import several_seeds
from medcls.evaluation.variation import Variation
from medcls.runs.predictions import Predictions

Array = NDArray[np.float64]
Verdict = Literal["higher", "lower", "equivalent", "no difference shown", "not judgeable"]


@dataclass(frozen=True)
class Comparison:
    """A metric of variant b minus that of variant a, on the runs and images of ``pairing``.

    low, high: 95 % interval, for this comparison alone; p: of this comparison alone, by the same method, so that it is
    below 5 % where the interval excludes 0; adjusted: after Holm, over all that were made together (``adjust``).
    method: the test's name. why: in words why there is no test, where low, high and p are NaN. constant: how many nets
    of a and of b say nothing (``medcls.evaluation.constant``). design: what it can show; None without a test.
    """

    metric: str
    a: float
    b: float
    low: float
    high: float
    p: float
    method: str
    pairing: Pairing
    estimate: Estimate | None
    design: Design | None
    why: str = ""
    constant: tuple[int, int] = (0, 0)
    adjusted: float = float("nan")
    alpha: float = 1 - LEVEL

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def shown(self) -> bool:
        """Whether a difference is shown, the number of tests allowed for."""
        return self.adjusted < 1 - LEVEL

    @cached_property
    def smallest(self) -> float:
        """The smallest true difference that the design shows with 80 % power at ``alpha``; NaN where none."""
        return self.design.smallest(self.alpha) if self.design else math.nan

    @cached_property
    def smallest_range(self) -> Range:
        """``smallest`` as the estimate it is, with where 90 % of such studies would have it; NaN where none."""
        return self.design.smallest_range(self.alpha) if self.design else Range(math.nan, math.nan, math.nan)

    def equivalent(self, margin: float) -> bool:
        """Whether two one-sided tests at 5 % show that the true difference is within ``margin`` (Schuirmann, 1987)."""
        low, high = self.estimate.interval(2 * LEVEL - 1) if self.estimate else (-math.inf, math.inf)
        return -margin < low and high < margin

    def verdict(self, margin: float | None = None) -> Verdict:
        """What is shown of b; ``margin``: that was named beforehand for equivalence. ``reason`` says why not."""
        if self.shown:
            return "higher" if self.difference > 0 else "lower"
        if margin is not None and self.equivalent(margin):
            return "equivalent"
        return "not judgeable" if self.reason else "no difference shown"

    @property
    def reason(self) -> str:
        """In words why nothing can be said; empty where something can."""
        if self.why or not self.design:
            return self.why
        return "with so few seeds and images no difference could be shown" if math.isnan(self.smallest) else ""


def compare(
    a: Mapping[int, Predictions], b: Mapping[int, Predictions], metrics: Sequence[Metric] = COMPARED
) -> list[Comparison]:
    """Each of ``metrics`` of two variants, each a mapping of seed -> predictions of one run or cross-validation.

    A metric that the images leave without a method has no test, and says why. Raises ValueError when the two cannot be
    compared at all, saying why (no runs; seeds of one variant that were measured on different images).
    """
    pairing = pair(a, b)
    return [_compare(metric, pairing) for metric in metrics if metric.measure]


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p-values adjusted for their number (Holm, 1979); those without a p-value do not count.

    What they can show is from then on at 5 % divided by their number: what the smallest p-value must stay below.
    """
    tested = [c for c in comparisons if math.isfinite(c.p)]
    if not tested:
        return list(comparisons)
    adjusted = iter(multipletests([c.p for c in tested], method="holm")[1])
    return [
        replace(c, adjusted=float(next(adjusted)), alpha=(1 - LEVEL) / len(tested)) if math.isfinite(c.p) else c
        for c in comparisons
    ]


def _compare(metric: Metric, pairing: Pairing) -> Comparison:
    assert metric.measure is not None
    a, b = ([metric.measure(run) for run in runs] for runs in (pairing.a, pairing.b))
    means = [float(np.mean([one.value for one in of])) for of in (a, b)]
    silent = sum(map(bool, map(constant, pairing.a))), sum(map(bool, map(constant, pairing.b)))
    if why := next((one.why for one in a + b if one.variation is None), ""):
        none = math.nan, math.nan, math.nan
        return Comparison(metric.name, means[0], means[1], *none, "no test", pairing, None, None, why, silent)
    between_nets = _correlation(metric, a, b, pairing)
    estimate, method = _estimate(metric, a, b, pairing, between_nets)
    low, high = estimate.interval(LEVEL)
    design = _design(a, b, pairing, between_nets)
    return Comparison(
        metric.name, means[0], means[1], low, high, estimate.p, method, pairing, estimate, design, constant=silent
    )


def _estimate(
    metric: Metric, a: list[Measured], b: list[Measured], pairing: Pairing, correlation: Array
) -> tuple[Estimate, str]:
    """The difference with the name of its test."""
    folds = isinstance(pairing.a[0], CrossValidated) or isinstance(pairing.b[0], CrossValidated)
    if metric.name == "accuracy" and pairing.same_images and not (pairing.covers_seeds or pairing.by_patient or folds):
        hit_a, hit_b = (one.probabilities.argmax(axis=1) == one.labels for one in (pairing.a[0], pairing.b[0]))
        only = int((hit_a & ~hit_b).sum()), int((hit_b & ~hit_a).sum())
        return PairedShares(*only, len(hit_a)), "McNemar, interval of Tango"
    covariance, runs = _covariance(a, b, pairing), a + b
    values = np.array([one.value for one in runs])
    weights = np.repeat([-1 / len(a), 1 / len(b)], [len(a), len(b)])
    variations = [one.variation for one in runs if one.variation is not None]
    recovered = Recovered(weights, values, variations, correlation)
    if pairing.covers_seeds:
        normal, method = several_seeds(values[: len(a)], values[len(a) :], covariance), "Obuchowski-Rockette"
    else:
        error = math.sqrt(max(float(weights @ covariance @ weights), 0.0))
        normal, method = Difference(float(weights @ values), error, math.inf), metric.test
    method += " or score limits"
    if not pairing.covers_seeds:
        method += ", paired" if pairing.same_images else ", independent images"
    return Widest((recovered, normal)), method + clustered(pairing) + (", within folds" if folds else "")


def _covariance(a: list[Measured], b: list[Measured], pairing: Pairing) -> Array:
    """Covariance (J + K, J + K) of the metrics of all runs over patients, or images where these are unknown."""
    of_a, of_b = np.stack([one.influence for one in a]), np.stack([one.influence for one in b])
    between = of_a @ of_b.T if pairing.same_images else np.zeros((len(a), len(b)))
    return np.block([[of_a @ of_a.T, between], [between.T, of_b @ of_b.T]])


def _correlation(metric: Metric, a: list[Measured], b: list[Measured], pairing: Pairing) -> Array:
    """Correlation (J + K, J + K) of the metrics over images, from influences as far as they are to be trusted.

    The rest is told from how alike the nets are, or is 0, which widens the interval of a difference.
    """
    covariance = _covariance(a, b, pairing)
    scale = np.sqrt(np.diag(covariance))
    products = np.outer(scale, scale)
    correlation = np.divide(covariance, products, out=np.zeros_like(covariance), where=products > 0)
    known = np.array([one.known for one in a + b])
    trusted, alike = np.minimum.outer(known, known), np.zeros_like(covariance)
    if metric.alike and pairing.same_images:
        alike = metric.alike([*pairing.a, *pairing.b])
    elif metric.alike:
        alike[: len(a), : len(a)], alike[len(a) :, len(a) :] = metric.alike(pairing.a), metric.alike(pairing.b)
    mixed = trusted * correlation + (1 - trusted) * alike
    np.fill_diagonal(mixed, 1)
    return np.asarray(mixed)


def _design(a: list[Measured], b: list[Measured], pairing: Pairing, correlation: Array) -> Design:
    values = [np.array([one.value for one in of]) for of in (a, b)]
    variants = np.repeat([0, 1], [len(a), len(b)])
    same = (variants[:, None] == variants) & ~np.eye(len(variants), dtype=bool)
    better = int(values[1].mean() >= values[0].mean())
    order = (a, b) if better else (b, a)
    seeds, variations = (len(order[0]), len(order[1])), (_variation(order[0]), _variation(order[1]))
    spread = float(np.mean([np.var(of, ddof=1) for of in values])) if pairing.covers_seeds else 0.0
    smaller = min(pairing.a[0], pairing.b[0], key=lambda run: len(run.names))
    return Design(
        best=float(values[better].mean()),
        seeds=seeds,
        variations=variations,
        within=max(float(correlation[same].mean()), 0.0) if same.any() else 0.0,
        between=max(float(correlation[variants[:, None] != variants].mean()), 0.0),
        spread=spread,
        images=float(np.mean([(one.influence**2).sum() for one in a + b])),
        n_images=len(smaller.names),
        n_patients=smaller.n_patients,
    )


def _variation(nets: list[Measured]) -> Variation:
    """That of the net in the middle, by how far its metric varies at a value in the middle."""
    found = sorted((one.variation for one in nets if one.variation), key=lambda variation: variation.variance(0.8))
    return found[(len(found) - 1) // 2]


def clustered(pairing: Pairing) -> str:
    """What the name of a method gets where images depend on each other."""
    return ", patients as clusters" if pairing.by_patient else ""
