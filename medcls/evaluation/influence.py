"""How much each image moves a metric: from this follow its variance and its covariance between nets.

Influences of two nets on the same images multiply to the covariance of their metrics, so that one product of matrices
serves any number of seeds and variants.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


@dataclass(frozen=True)
class Predictions:
    """What a net says of images: their names, labels (N,) in [0, C), probabilities (N, C) in [0, 1].

    data: name of the data set; images of the same name in different data sets are different images.
    positive: class that AUROC is of where there are two classes.
    """

    data: str
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    positive: int

    def select(self, names: list[str]) -> "Predictions":
        """The predictions of ``names`` alone, in their order. Raises KeyError for a name that is absent."""
        at = {name: i for i, name in enumerate(self.names)}
        rows = [at[name] for name in names]
        return Predictions(self.data, tuple(names), self.labels[rows], self.probabilities[rows], self.positive)


@dataclass(frozen=True)
class Measured:
    """A metric in [0, 1], and the influence (N,) of each image on it.

    The estimated covariance of the metrics of two nets on the same N images is the inner product of their influences.
    """

    value: float
    influence: NDArray[np.float64]


def measure_auroc(predictions: Predictions) -> Measured:
    """AUROC as in ``medcls.evaluation.scores``, with the influences of DeLong, DeLong & Clarke-Pearson (1988).

    More than two classes: the mean of one-vs-rest, whose influences are the means of theirs.
    NaN where one side of a class has fewer than two images, which leaves the variance undefined.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    n_classes = probabilities.shape[1]
    classes = [predictions.positive] if n_classes == 2 else list(range(n_classes))
    parts = [_one_vs_rest(labels == k, probabilities[:, k]) for k in classes]
    value = float(np.mean([part.value for part in parts]))
    return Measured(value, np.mean([part.influence for part in parts], axis=0))


def measure_accuracy(predictions: Predictions) -> Measured:
    """Share of images whose most probable class is theirs; influences give the sample covariance of correctness."""
    hit = (predictions.probabilities.argmax(axis=1) == predictions.labels).astype(float)
    n = len(hit)
    if n < 2:
        return Measured(float("nan"), np.full(n, np.nan))
    return Measured(float(hit.mean()), (hit - hit.mean()) / np.sqrt(n * (n - 1)))


def _one_vs_rest(is_class: NDArray[np.bool_], score: NDArray[Any]) -> Measured:
    """AUROC of one class with DeLong's structural components, from midranks (Sun & Xu, 2014, algorithm 2)."""
    m, n = int(is_class.sum()), int((~is_class).sum())
    if m < 2 or n < 2:
        return Measured(float("nan"), np.full(len(score), np.nan))
    rank = rankdata(score)
    # Of each image of the class: the share of the rest that it beats, a tie counting half; and the converse.
    beaten = (rank[is_class] - rankdata(score[is_class])) / n
    beaten_by = 1 - (rank[~is_class] - rankdata(score[~is_class])) / m
    value = beaten.mean()
    influence = np.empty(len(score))
    influence[is_class] = (beaten - value) / np.sqrt(m * (m - 1))
    influence[~is_class] = (beaten_by - value) / np.sqrt(n * (n - 1))
    return Measured(float(value), influence)


METRICS = {"auroc": measure_auroc, "accuracy": measure_accuracy}
