"""How far a metric would move with other images of the same kind: stratified bootstrap intervals.

``scipy.stats.bootstrap`` draws the same resamples, but refuses a class with a single image and would have to sort every
resample for its AUROC. Here a resample is how often each image was drawn (see ``medcls.evaluation.resampled``).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.evaluation.metrics import METRICS, Metric, scores
from medcls.evaluation.resampled import Float, Resamples
from medcls.patients import number_patients

log = logging.getLogger(__name__)

LEVEL = 0.95
SLOW_RESAMPLES = 500  # for a metric without a fast form: seconds, where 2,000 could take a minute
# Draws held at a time (8 bytes each): 2,000 resamples of 10,000 images in one piece would be 160 MB, several times.
_CHUNK = 2**21

Draw = Callable[[NDArray[Any], int, np.random.Generator], Iterator[Float]]


@dataclass(frozen=True)
class Interval:
    """A metric on all images, and the interval around it; NaN where the metric is undefined."""

    value: float
    low: float
    high: float


def bootstrap_intervals(
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    positive: int,
    *,
    metrics: Sequence[Metric] = tuple(METRICS.values()),
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile interval of every metric, over images resampled within each class.

    Arguments and ValueErrors as for ``scores``. Stratified, so that every metric defined on the images is defined in
    each resample (Efron & Tibshirani, 1993, ch. 13). ``groups``: patient of each image, "" where unknown; patients are
    then resampled with all their images (Field & Welsh, 2007). Too narrow where images depend on each other otherwise,
    for a class with a handful of images, and for a metric of exactly 1, whose interval is [1, 1]. Of a metric without
    a fast form at most ``SLOW_RESAMPLES`` are drawn; undefined in any of them, it has no interval.
    """
    fast = [metric for metric in metrics if metric.resampled]
    slow = [metric for metric in metrics if not metric.resampled]
    value = scores(labels, probabilities, positive, metrics)
    draw: Draw = draw_counts if groups is None or not any(groups) else partial(draw_group_counts, groups=groups)

    def drawn(size: int) -> Iterator[Resamples]:
        for counts in draw(labels, size, np.random.default_rng(seed)):
            yield Resamples(labels, probabilities, positive, counts)

    values = _on_all(fast, drawn(n_resamples)) | _on_all(slow, drawn(min(n_resamples, SLOW_RESAMPLES)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low_high = {name: np.quantile(values[name], tails) for name in value}
    return {name: Interval(value[name], float(low), float(high)) for name, (low, high) in low_high.items()}


def _on_all(metrics: Sequence[Metric], drawn: Iterator[Resamples]) -> dict[str, Float]:
    """Each metric on all resamples; none are drawn for no metric."""
    parts = [resampled_scores(resamples, metrics) for resamples in drawn] if metrics else []
    return {metric.name: np.concatenate([part[metric.name] for part in parts]) for metric in metrics}


def resampled_scores(drawn: Resamples, metrics: Sequence[Metric] = tuple(METRICS.values())) -> dict[str, Float]:
    """``scores`` of every resample at once: each metric (R,)."""
    return {metric.name: metric.resampled(drawn) if metric.resampled else _slowly(metric, drawn) for metric in metrics}


def _slowly(metric: Metric, drawn: Resamples) -> Float:
    """A metric by its formula on one resample after the other; all NaN where the formula fails on one."""
    images = np.arange(len(drawn.labels))
    values = np.full(len(drawn.counts), np.nan)
    try:
        for i, counts in enumerate(drawn.counts.astype(np.intp)):
            rows = np.repeat(images, counts)
            values[i] = metric.formula(drawn.labels[rows], drawn.probabilities[rows], drawn.positive)
    except UserError as error:  # it did not fail on all images, whose value stays good
        log.warning("no interval: on a resample of the images, %s", error)
        values[:] = np.nan
    return values


def draw_counts(labels: NDArray[Any], n_resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Resamples in chunks (R, N) of how often each image was drawn; each keeps the number of images of each class."""
    chunk = max(1, _CHUNK // len(labels))
    for start in range(0, n_resamples, chunk):
        counts = np.empty((min(chunk, n_resamples - start), len(labels)))
        for k in np.unique(labels):
            n = int((labels == k).sum())
            counts[:, labels == k] = rng.multinomial(n, np.full(n, 1 / n), size=len(counts))
        yield counts


def draw_group_counts(
    labels: NDArray[Any], n_resamples: int, rng: np.random.Generator, groups: Sequence[str]
) -> Iterator[NDArray[np.float64]]:
    """As ``draw_counts`` with whole patients drawn, those with images of the same classes from each other.

    The number of images of a class varies; no class is ever without.
    """
    patient = number_patients(groups)
    has_class = np.zeros((int(patient.max()) + 1, int(labels.max()) + 1), bool)
    has_class[patient, labels] = True
    stratum = np.unique(has_class, axis=0, return_inverse=True)[1].reshape(-1)
    for counts in draw_counts(stratum, n_resamples, rng):
        yield counts[:, patient]
