"""How far a metric would move with other images of the same kind: stratified bootstrap intervals.

``scipy.stats.bootstrap`` draws the same resamples, but refuses a class with a single image and would have to sort every
resample for its AUROC. Here a resample is how often each image was drawn, so that one sort serves all resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.scores import METRICS, scores
from medcls.patients import number_patients

LEVEL = 0.95
# Draws held at a time (8 bytes each): 2,000 resamples of 10,000 images in one piece would be 160 MB, several times.
_CHUNK = 2**21


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
    groups: Sequence[str] | None = None,
    level: float = LEVEL,
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile interval of every metric, over images resampled within each class.

    Arguments and ValueErrors as for ``scores``. Stratified, so that every metric defined on the images is defined in
    each resample (Efron & Tibshirani, 1993, ch. 13). ``groups``: patient of each image, "" where unknown; patients are
    then resampled with all their images (Field & Welsh, 2007). Too narrow where images depend on each other otherwise,
    for a class with a handful of images, and for a metric of exactly 1, whose interval is [1, 1].
    """
    value = scores(labels, probabilities, positive)
    draw = draw_counts if groups is None or not any(groups) else partial(draw_group_counts, groups=groups)
    parts = [
        resampled_scores(labels, probabilities, positive, counts)
        for counts in draw(labels, n_resamples, np.random.default_rng(seed))
    ]
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals = {}
    for name in METRICS:
        low, high = np.quantile(np.concatenate([part[name] for part in parts]), tails)
        intervals[name] = Interval(value[name], float(low), float(high))
    return intervals


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


def resampled_scores(
    labels: NDArray[Any], probabilities: NDArray[Any], positive: int, counts: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """``scores`` of every resample at once: each metric (R,), for counts (R, N) of how often each image was drawn."""
    n_classes = probabilities.shape[1]
    predicted = np.eye(n_classes)[probabilities.argmax(axis=1)]
    # (R, true class, predicted class)
    confusion = np.stack([counts[:, labels == k] @ predicted[labels == k] for k in range(n_classes)], axis=1)
    hits, true, guessed = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    n = true.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of a class without images
        recall = hits / true
        per_class = {
            "auroc": np.stack([_auroc(labels == k, probabilities[:, k], counts) for k in range(n_classes)], axis=1),
            "sensitivity": recall,
            "specificity": (n - true - guessed + hits) / (n - true),
            "f1": np.where(true > 0, 2 * hits / (true + guessed), np.nan),
        }
    reported = {name: v[:, positive] if n_classes == 2 else v.mean(axis=1) for name, v in per_class.items()}
    return {"accuracy": hits.sum(axis=1) / n[:, 0], "balanced_accuracy": recall.mean(axis=1), **reported}


def _auroc(is_class: NDArray[np.bool_], score: NDArray[Any], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """AUROC (R,) as the share of pairs in the right order, a tie being half a pair (Mann & Whitney, 1947)."""
    rest = np.flatnonzero(~is_class)
    rest = rest[np.argsort(score[rest])]
    up_to = np.zeros((len(counts), len(rest) + 1))
    np.cumsum(counts[:, rest], axis=1, out=up_to[:, 1:])  # drawn images of the rest among the first 0, 1, 2, ...
    below = up_to[:, np.searchsorted(score[rest], score[is_class], side="left")]
    not_above = up_to[:, np.searchsorted(score[rest], score[is_class], side="right")]
    pairs = np.einsum("rn,rn->r", counts[:, is_class], below + not_above) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(pairs / (counts[:, is_class].sum(axis=1) * counts[:, rest].sum(axis=1)))
