"""Which of two variants is better, how sure that is, and of what: other images, or other images and other seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

from medcls.evaluation.bootstrap import LEVEL
from medcls.evaluation.difference import Difference
from medcls.evaluation.influence import Measured
from medcls.evaluation.metrics import COMPARED, Metric
from medcls.evaluation.pairing import Pairing, pair
from medcls.evaluation.seeds import several_seeds
from medcls.runs.predictions import Predictions


@dataclass(frozen=True)
class Comparison:
    """A metric of variant b minus that of variant a, on the runs and images of ``pairing``.

    low, high: 95 % interval, for this comparison alone; p: of this comparison alone; adjusted: after Holm, over all
    that were made together (``adjust``); method: the test's name. NaN where there is no variation to measure by.
    smallest: the smallest true difference that the design shows with 80 % power at ``alpha``.
    """

    metric: str
    a: float
    b: float
    low: float
    high: float
    p: float
    method: str
    pairing: Pairing
    estimate: Difference
    adjusted: float = float("nan")
    alpha: float = 1 - LEVEL
    smallest: float = float("nan")

    @property
    def difference(self) -> float:
        return self.b - self.a

    @property
    def shown(self) -> bool:
        """Whether a difference is shown, the number of tests allowed for."""
        return self.adjusted < 1 - LEVEL


def compare(a: Mapping[int, Predictions], b: Mapping[int, Predictions]) -> list[Comparison]:
    """Each metric of COMPARED of two variants, each a mapping of seed -> predictions of one run.

    A metric that the images leave undefined is left out. Raises ValueError when the two cannot be compared at all,
    saying why (no runs; seeds of one variant that were measured on different images).
    """
    pairing = pair(a, b)
    found = []
    for metric in COMPARED:
        assert metric.influence is not None
        of_a = [metric.influence(predictions) for predictions in pairing.a]
        of_b = [metric.influence(predictions) for predictions in pairing.b]
        if all(math.isfinite(one.value) for one in of_a + of_b):
            found.append(_several_seeds(metric, of_a, of_b, pairing) or _one_seed(metric, of_a[0], of_b[0], pairing))
    return found


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p-values adjusted for their number (Holm, 1979); those without a p-value do not count.

    ``smallest`` is taken at 5 % divided by their number: what the smallest p-value must stay below.
    """
    tested = [c for c in comparisons if math.isfinite(c.p)]
    if not tested:
        return list(comparisons)
    alpha = (1 - LEVEL) / len(tested)
    adjusted = iter(multipletests([c.p for c in tested], method="holm")[1])
    return [
        replace(c, adjusted=float(next(adjusted)), alpha=alpha, smallest=c.estimate.smallest_shown(alpha))
        if math.isfinite(c.p)
        else c
        for c in comparisons
    ]


def _several_seeds(metric: Metric, a: list[Measured], b: list[Measured], pairing: Pairing) -> Comparison | None:
    if min(len(a), len(b)) < 2:
        return None
    values_a, values_b = np.array([one.value for one in a]), np.array([one.value for one in b])
    estimate = several_seeds(values_a, values_b, _covariance(a, b, pairing))
    low, high = estimate.interval(LEVEL)
    means = float(values_a.mean()), float(values_b.mean())
    method = "Obuchowski-Rockette" + clustered(pairing)
    return Comparison(metric.name, *means, low, high, estimate.p, method, pairing, estimate)


def _covariance(a: list[Measured], b: list[Measured], pairing: Pairing) -> np.ndarray:
    """Covariance (J + K, J + K) of the metrics of all runs over patients, or images where these are unknown."""
    of_a, of_b = np.stack([one.influence for one in a]), np.stack([one.influence for one in b])
    between = of_a @ of_b.T if pairing.same_images else np.zeros((len(a), len(b)))
    return np.block([[of_a @ of_a.T, between], [between.T, of_b @ of_b.T]])


def _one_seed(metric: Metric, a: Measured, b: Measured, pairing: Pairing) -> Comparison:
    (var_a, between), (_, var_b) = _covariance([a], [b], pairing)
    estimate = Difference(b.value - a.value, math.sqrt(max(var_a + var_b - 2 * between, 0)), float("inf"))
    if metric.name == "accuracy" and not pairing.by_patient:
        low, high, p, method = _accuracies(pairing)
    else:
        (low, high), p = estimate.interval(LEVEL), estimate.p
        method = metric.test + (", paired" if pairing.same_images else ", independent images") + clustered(pairing)
    return Comparison(metric.name, a.value, b.value, low, high, p, method, pairing, estimate)


def clustered(pairing: Pairing) -> str:
    """What the name of a method gets where images depend on each other."""
    return ", patients as clusters" if pairing.by_patient else ""


def _accuracies(pairing: Pairing) -> tuple[float, float, float, str]:
    """Interval, p-value and name of the test for the accuracies of two single runs on independent images."""
    hit_a, hit_b = (one.probabilities.argmax(axis=1) == one.labels for one in (pairing.a[0], pairing.b[0]))
    if not pairing.same_images:
        counts = int(hit_b.sum()), len(hit_b), int(hit_a.sum()), len(hit_a)
        # Not by inverting the score test, which finds no limits for some counts.
        low, high = confint_proportions_2indep(*counts, method="agresti-caffo", compare="diff", alpha=1 - LEVEL)
        with np.errstate(divide="ignore", invalid="ignore"):  # of ratios that it computes besides
            p = test_proportions_2indep(*counts, method="agresti-caffo", compare="diff").pvalue
        return max(float(low), -1.0), min(float(high), 1.0), float(p), "Agresti-Caffo"
    only_a, only_b = int((hit_a & ~hit_b).sum()), int((hit_b & ~hit_a).sum())
    p = mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue
    return *paired_interval(only_a, only_b, len(hit_a), LEVEL), float(p), "McNemar, exact"


def paired_interval(only_a: int, only_b: int, n: int, level: float) -> tuple[float, float]:
    """Interval of b's accuracy minus a's on the same ``n`` images, of which a or b alone had so many right.

    Wald with one image added to each kind of disagreement (Bonett & Price, 2012), which keeps an interval of some
    width where they never disagree.
    """
    p_a, p_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt((p_a + p_b - (p_b - p_a) ** 2) / (n + 2))
    return max(p_b - p_a - half, -1.0), min(p_b - p_a + half, 1.0)
