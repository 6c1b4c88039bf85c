"""How much each patient moves a metric: from this follow its variance and its covariance between nets.

Influences of two nets on the same patients multiply to the covariance of their metrics, so that one product of
matrices serves any number of seeds and variants. Images of one patient move a metric together: their influences are
summed before they are multiplied. An image of no known patient counts as a patient of its own.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medcls.evaluation.formulas import counted_classes
from medcls.patients import number_patients
from medcls.runs.predictions import Predictions

Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Measured:
    """A metric in [0, 1], and the influence (P,) of each patient on it.

    The estimated covariance of the metrics of two nets on the same P patients is the inner product of their influences.
    """

    value: float
    influence: NDArray[np.float64]


def measure_auroc(predictions: Predictions) -> Measured:
    """AUROC as in ``medcls.evaluation.formulas``, with the influences of DeLong, DeLong & Clarke-Pearson (1988).

    Several images of a patient: those of Obuchowski (1997, Biometrics 53:567), but for the factor of the term between
    the images of a patient on either side, which differs where not every patient has some on both.
    More than two classes: the mean of one-vs-rest, whose influences are the means of theirs.
    NaN where one side of a class has fewer than two patients, which leaves the variance undefined.
    """
    labels, probabilities = predictions.labels, predictions.probabilities
    classes = counted_classes(probabilities.shape[1], predictions.positive)
    patient = number_patients(predictions.patients)
    parts = [_one_vs_rest(labels == k, probabilities[:, k], patient) for k in classes]
    value = float(np.mean([part.value for part in parts]))
    return Measured(value, np.mean([part.influence for part in parts], axis=0))


def measure_accuracy(predictions: Predictions) -> Measured:
    """Share of images whose most probable class is theirs.

    Influences give the sample covariance of correctness; with several images of a patient that of a ratio of patients'
    sums (Rao & Scott, 1992). NaN for fewer than two patients.
    """
    hit = (predictions.probabilities.argmax(axis=1) == predictions.labels).astype(float)
    patient = number_patients(predictions.patients)
    n_patients = int(patient.max(initial=-1)) + 1
    if n_patients < 2:
        return _undefined(n_patients)
    value = float(hit.mean())
    return Measured(value, _summed(_scaled(hit - value, patient), patient))


def _one_vs_rest(is_class: NDArray[np.bool_], score: NDArray[Any], patient: Numbers) -> Measured:
    """AUROC of one class with DeLong's structural components, from midranks (Sun & Xu, 2014, algorithm 2)."""
    n_patients = int(patient.max(initial=-1)) + 1
    if min(len(np.unique(patient[side])) for side in (is_class, ~is_class)) < 2:
        return _undefined(n_patients)
    m, n = int(is_class.sum()), int((~is_class).sum())
    rank = rankdata(score)
    # Of each image of the class: the share of the rest that it beats, a tie counting half; and the converse.
    beaten = (rank[is_class] - rankdata(score[is_class])) / n
    beaten_by = 1 - (rank[~is_class] - rankdata(score[~is_class])) / m
    value = float(beaten.mean())
    influence = np.empty(len(score))
    influence[is_class] = _scaled(beaten - value, patient[is_class])
    influence[~is_class] = _scaled(beaten_by - value, patient[~is_class])
    return Measured(value, _summed(influence, patient))


def _scaled(deviations: NDArray[np.float64], patient: Numbers) -> NDArray[np.float64]:
    """Deviations from a mean of images as shares in it, whose squares add up to its unbiased variance."""
    n_patients = len(np.unique(patient))
    return np.asarray(deviations / len(deviations) * np.sqrt(n_patients / (n_patients - 1)))


def _summed(influence: NDArray[np.float64], patient: Numbers) -> NDArray[np.float64]:
    """Influence (P,) of each patient from that of each image."""
    return np.asarray(np.bincount(patient, influence), dtype=np.float64)


def _undefined(n_patients: int) -> Measured:
    return Measured(float("nan"), np.full(n_patients, np.nan))
