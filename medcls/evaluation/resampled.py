"""The metrics of ``medcls.evaluation.formulas`` on many resamples at once, each (R,).

A resample is how often each image was drawn, so that one sort, and one product of matrices, serve all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.formulas import over_classes
from medcls.patients import number_patients

# Draws held at a time (8 bytes each): 2,000 resamples of 10,000 images in one piece would be 160 MB, several times.
_CHUNK = 2**21
_FEW = 32  # images of a class up to which comparing them with all others is faster than sorting

Array = NDArray[Any]
Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Resamples:
    """Labels (N,), probabilities (N, C), positive class, and counts (R, N) of how often each image was drawn."""

    labels: Array
    probabilities: Array
    positive: int
    counts: Float

    @cached_property
    def guesses(self) -> Array:
        """The most probable class (N,) of each image."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @cached_property
    def hits(self) -> Float:
        """Number of images (R, C) of each class that are recognized."""
        return self._drawn(self.labels, self.guesses == self.labels)

    @cached_property
    def true(self) -> Float:
        """Number of images (R, C) of each class."""
        return self._drawn(self.labels)

    @cached_property
    def predicted(self) -> Float:
        """Number of images (R, C) taken for each class."""
        return self._drawn(self.guesses)

    def _drawn(self, classes: Array, which: Array | None = None) -> Float:
        """How many (R, C) were drawn of the images with each of ``classes``, of those in ``which`` alone."""
        # Not by way of confusion matrices (R, C, C): of a thousand classes these take 16 GB.
        one_hot = np.eye(self.probabilities.shape[1])[classes]
        return np.asarray(self.counts @ (one_hot if which is None else one_hot * which[:, None]))

    @property
    def recall(self) -> Float:
        """Share (R, C) of each class's images that is recognized; NaN for a class without images."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.hits / self.true)


def accuracy(drawn: Resamples) -> Float:
    """Share of images that are recognized."""
    return np.asarray(drawn.hits.sum(axis=1) / drawn.true.sum(axis=1))


def balanced_accuracy(drawn: Resamples) -> Float:
    """Mean over all classes of the share that is recognized."""
    return np.asarray(drawn.recall.mean(axis=1))


def auroc(drawn: Resamples) -> Float:
    """Area under the ROC curve of each class against the rest."""
    classes = range(drawn.probabilities.shape[1])
    of_class = [_auroc(drawn.labels == k, drawn.probabilities[:, k], drawn.counts) for k in classes]
    return over_classes(np.stack(of_class, axis=1), drawn.positive)


def sensitivity(drawn: Resamples) -> Float:
    """Share of a class's images that is recognized."""
    return over_classes(drawn.recall, drawn.positive)


def specificity(drawn: Resamples) -> Float:
    """Share of the other images that is not taken for the class."""
    others = drawn.true.sum(axis=1, keepdims=True) - drawn.true
    with np.errstate(invalid="ignore"):
        return over_classes((others - drawn.predicted + drawn.hits) / others, drawn.positive)


def f1(drawn: Resamples) -> Float:
    """Harmonic mean of sensitivity and precision; NaN for a class without images."""
    with np.errstate(invalid="ignore"):
        per_class = np.where(drawn.true > 0, 2 * drawn.hits / (drawn.true + drawn.predicted), np.nan)
    return over_classes(per_class, drawn.positive)


def _auroc(is_class: NDArray[np.bool_], score: Array, counts: Float) -> Float:
    """AUROC (R,) as the share of pairs in the right order, a tie being half a pair (Mann & Whitney, 1947)."""
    if is_class.sum() <= _FEW:  # a product of matrices; the sums are of integers, and so the same to the bit
        own = score[is_class]
        order = (score[:, None] < own) + 1.0 * (score[:, None] <= own)
        order[is_class] = 0
        pairs = np.einsum("rn,rn->r", counts[:, is_class], counts @ order) / 2
        drawn = counts[:, is_class].sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(pairs / (drawn * (counts.sum(axis=1) - drawn)))
    rest = np.flatnonzero(~is_class)
    rest = rest[np.argsort(score[rest])]
    up_to = np.zeros((len(counts), len(rest) + 1))
    np.cumsum(counts[:, rest], axis=1, out=up_to[:, 1:])  # drawn images of the rest among the first 0, 1, 2, ...
    below = up_to[:, np.searchsorted(score[rest], score[is_class], side="left")]
    not_above = up_to[:, np.searchsorted(score[rest], score[is_class], side="right")]
    pairs = np.einsum("rn,rn->r", counts[:, is_class], below + not_above) / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(pairs / (counts[:, is_class].sum(axis=1) * counts[:, rest].sum(axis=1)))


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
