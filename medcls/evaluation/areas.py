"""AUROC: its value, the influence of each patient, and how it varies near 1 and with few images of a class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from medcls.evaluation.formulas import counted_classes
from medcls.evaluation.measured import (
    LEAST,
    LEAST_IN_FOLD,
    LEAST_OF_MANY,
    Mask,
    Measured,
    Numbers,
    Units,
    drawn,
    trust,
    undefined,
)
from medcls.evaluation.variation import AreaVariation, model_variance
from medcls.patients import number_together
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]

# AUROCs near 1 are less correlated than the scores they are of (Hanley & McNeil, 1983, Radiology 148:839, table 1).
_TAIL = 0.8
# Where the variance with all images of a patient alike is compared with that of independent images: it has none at 1.
_HIGHEST = 0.95


class _Area(NamedTuple):
    """One AUROC: influences (N,) of its images; per side images, patients, and patients that count alike.

    df: degrees of freedom of its variance (Satterthwaite).
    """

    value: float
    influence: Float
    images: tuple[int, ...]
    patients: tuple[int, ...]
    alike: tuple[float, ...]
    df: float


def measure_auroc(
    predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
) -> Measured:
    """AUROC as in ``medcls.evaluation.formulas``, with the influences of DeLong, DeLong & Clarke-Pearson (1988).

    Several images of a patient: those of Obuchowski (1997, Biometrics 53:567), but for the factor of the term between
    the images of a patient on either side, which differs where not every patient has some on both.
    Several ``classes``: the mean of one-vs-rest, whose influences are the means of theirs. Cross-validated: the mean
    over folds, each compared within itself (LeDell, Petersen & van der Laan, 2015, doi 10.1214/15-EJS1035).
    """
    units, labels = units or Units.of(predictions), predictions.labels
    if classes is None:
        classes = counted_classes(predictions.probabilities.shape[1], predictions.positive)
    sides = [labels == k for k in classes] + [labels != k for k in classes]
    if units.too_few(sides, 1, in_fold=1):
        return undefined(units, np.nan, units.too_few(sides, 1, in_fold=1))
    cells = [(fold, k) for fold in units.folds for k in classes]
    areas = [_area(fold, labels == k, predictions.probabilities[:, k], units) for fold, k in cells]
    value = float(np.mean([area.value for area in areas]))
    if why := units.too_few(sides, LEAST if len(classes) == 1 else LEAST_OF_MANY, in_fold=LEAST_IN_FOLD):
        return undefined(units, value, why)
    influence = units.summed(np.sum([area.influence for area in areas], axis=0) / len(areas))
    known = trust(sum(4 * min(area.patients) * area.value * (1 - area.value) for area in areas))
    return Measured(value, influence, _variation(areas, value, influence, known, units.clustered), known)


def _area(fold: Mask, is_class: Mask, score: NDArray[np.floating], units: Units) -> _Area:
    """AUROC within a fold with DeLong's structural components, from midranks (Sun & Xu, 2014, algorithm 2)."""
    sides = fold & is_class, fold & ~is_class
    own, rest = score[sides[0]], score[sides[1]]
    rank = rankdata(np.concatenate([own, rest]))
    # Of each image of the class: the share of the rest that it beats, a tie counting half; and the converse.
    beaten = (rank[: len(own)] - rankdata(own)) / len(rest)
    beaten_by = 1 - (rank[len(own) :] - rankdata(rest)) / len(own)
    value, influence, squares = float(beaten.mean()), np.zeros(len(score)), []
    for side, components in zip(sides, (beaten, beaten_by), strict=True):
        deviations = (components - value) / len(components)
        influence[side] = deviations * units.correction(side, deviations)[units.patient[side]]
        squares.append(float((np.bincount(units.patient[side], influence[side]) ** 2).sum()))
    patients, alike = tuple(map(units.count, sides)), tuple(map(units.alike, sides))
    df = float(min(patients))
    if sum(squares) > 0:
        df = sum(squares) ** 2 / sum(s**2 / max(n - 1, 1) for s, n in zip(squares, alike, strict=True))
    return _Area(value, influence, (len(own), len(rest)), patients, alike, max(df, 1.0))


def _variation(areas: Sequence[_Area], value: float, influence: Float, known: float, clustered: bool) -> AreaVariation:
    """The mean of areas, its model inflated by what influences say about the variance, as far as they are ``known``."""
    m, n = np.array([area.images for area in areas], float).T
    prior = 1.0
    if clustered:
        at = min(value, _HIGHEST)
        prior = model_variance(at, *np.array([area.alike for area in areas]).T) / model_variance(at, m, n)
    model = model_variance(value, m, n)
    estimate = float((influence**2).sum()) / model
    # As far as it is known that tails are not longer, the variance need not be that of longer ones.
    least = drawn(known, model_variance(value, m, n, longer_tails=False) / model, 1.0)
    each = np.array([float((area.influence**2).sum()) for area in areas])
    df = np.array([area.df for area in areas])
    of_mean = each.sum() ** 2 / (each**2 / df).sum() if each.any() else df.sum()
    return AreaVariation(m, n, max(drawn(known, estimate, prior), least), float(of_mean))


def ranks_alike(nets: Sequence[Predictions]) -> Float:
    """How alike (J, J) the AUROCs of nets are, estimated from their order within a class of the images that they share.

    It shows the likeness even of nets that misplace no image, whose influences are all 0.
    """
    classes = counted_classes(nets[0].probabilities.shape[1], nets[0].positive)
    folds, numbers = [Units.of(net).fold for net in nets], number_together([net.names for net in nets])
    total = np.zeros((len(nets), len(nets)))
    for k in classes:
        for of_class in (True, False):
            sides = [(net.labels == k) == of_class for net in nets]
            rows = np.zeros((len(nets), 1 + max(int(number.max()) for number in numbers)))
            for row, net, fold, number, side in zip(rows, nets, folds, numbers, sides, strict=True):
                row[number[side]] = _ranks(net.probabilities[side, k], fold[side])
            seen = np.unique(np.concatenate([number[side] for number, side in zip(numbers, sides, strict=True)]))
            ranks = rows.take(seen, axis=1)
            total += ranks @ ranks.T
    return np.asarray(_TAIL * total / (2 * len(classes)))


def _ranks(score: NDArray[np.floating], fold: Numbers) -> Float:
    """Ranks within folds about their mean, of unit length; all 0 where all scores are equal."""
    ranks = np.empty(len(score))
    for k in np.unique(fold):
        ranks[fold == k] = rankdata(score[fold == k])
        ranks[fold == k] -= ranks[fold == k].mean()
    length = np.sqrt((ranks**2).sum())
    return ranks / length if length > 0 else ranks
