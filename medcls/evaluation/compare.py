"""Which of two variants is better, how sure that is, and of what: other images, or other images and other seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from statsmodels.stats.multitest import multipletests

from medcls.evaluation.contrast import Contrast, Seeds
from medcls.evaluation.difference import Estimate, PairedShares
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import COMPARED, Metric
from medcls.evaluation.pairing import Pairing, pair
from medcls.evaluation.planning import Design, Range
from medcls.evaluation.pooled import CrossValidated
from medcls.runs.predictions import Predictions

Verdict = Literal["higher", "lower", "equivalent", "no difference shown", "not judgeable"]


@dataclass(frozen=True)
class Comparison:
    """A metric of variant b minus that of variant a, on the runs and images of ``pairing``.

    low, high: 95 % interval, for this comparison alone; p: of this comparison alone, by the same method, so that it is
    below 5 % where the interval excludes 0; adjusted: after Holm, over all that were made together (``adjust``).
    method: the test's name. why: in words why there is no test, where low, high and p are NaN. design: what it can
    show; None without a test.
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
        """Why nothing can be concluded, in words; empty where something can."""
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
    of_a, of_b = ([[run] for run in runs] for runs in (pairing.a, pairing.b))
    return [compare_nets(metric, of_a, of_b, pairing) for metric in metrics if metric.measure]


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


def compare_nets(metric: Metric, a: Seeds, b: Seeds, pairing: Pairing) -> Comparison:
    """The mean of a metric over the seeds of ``b`` minus that over the seeds of ``a``."""
    contrast = Contrast(metric, a, b)
    mean_a, mean_b = (float(contrast.values[side].mean()) for side in (contrast.weights < 0, contrast.weights > 0))
    if contrast.why:
        none = math.nan, math.nan, math.nan
        return Comparison(metric.name, mean_a, mean_b, *none, "no test", pairing, None, None, contrast.why)
    folds = any(isinstance(run, CrossValidated) for run in contrast.runs)
    single = len(contrast.runs) == 2 and pairing.same_images and not (pairing.by_patient or folds)
    if metric.name == "accuracy" and single:
        hit_a, hit_b = (run.probabilities.argmax(axis=1) == run.labels for run in contrast.runs)
        only = int((hit_a & ~hit_b).sum()), int((hit_b & ~hit_a).sum())
        estimate: Estimate = PairedShares(*only, len(hit_a))
        method = "McNemar, interval of Tango"
    else:
        estimate = contrast.estimate()
        method = f"{'Obuchowski-Rockette' if pairing.covers_seeds else metric.test} or score limits"
        if not pairing.covers_seeds:
            apart = ", images that overlap" if pairing.overlapping else ", independent images"
            method += ", paired" if pairing.same_images else apart
        method += clustered(pairing) + (", within folds" if folds else "")
    low, high = estimate.interval(LEVEL)
    return Comparison(metric.name, mean_a, mean_b, low, high, estimate.p, method, pairing, estimate, contrast.design())


def clustered(pairing: Pairing) -> str:
    """What the name of a method gets where images depend on each other."""
    return ", patients as clusters" if pairing.by_patient else ""
