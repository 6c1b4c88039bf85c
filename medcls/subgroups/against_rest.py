"""Whether AUROC in a subgroup differs from that in all other images, with an interval of the difference.

The p-value is the larger of two. One deals the same patients at random, as many of each class, and counts how many
subgroups differ as much (Fisher's permutation test). It is exact where subgroup and rest differ in nothing, however few
images there are, but scores of other shapes with the same AUROC are taken for a difference too often, up to 17 % of the
time; dividing by DeLong's error (Chung & Romano, 2013; Pauly, Asendorf & Konietschke, 2016) left up to 35 % where few
images are misplaced. The other p-value is that of the interval, of two independent samples, from the limits of each
(MOVER, docs/statistics.md), which is about AUROC itself. Levels: benchmarks/subgroup_levels.py. Dealing stops when
enough have differed as much (Besag & Clifford, 1991, Biometrika 78:301).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from medcls.evaluation import resampled
from medcls.evaluation.areas import measure_auroc
from medcls.evaluation.difference import Recovered
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.resampled import Resamples
from medcls.patients import number_patients
from medcls.runs.predictions import Predictions

Mask = NDArray[np.bool_]

MOST = 10_000  # random subgroups
ENOUGH = 50  # of them that differ as much: p is then known to a seventh of itself
_AT_ONCE = 500
_ROUNDING = 1e-12


@dataclass(frozen=True)
class AgainstRest:
    """AUROC of the subgroup minus that of the rest, with the p-value of no difference (NaN where there is no test).

    p is below 5 % only where the 95 % interval excludes 0. adjusted: after Holm, over all tests made together.
    """

    difference: Interval
    p: float
    adjusted: float = math.nan

    @property
    def shown(self) -> bool:
        """Whether a difference is shown, the number of tests allowed for."""
        return self.adjusted < 1 - LEVEL

    @property
    def mirrored(self) -> "AgainstRest":
        """The same seen from the rest."""
        one = self.difference
        return replace(self, difference=Interval(-one.value, -one.high, -one.low, one.why))


def untested(why: str) -> AgainstRest:
    """No difference and no test."""
    return AgainstRest(Interval(math.nan, math.nan, math.nan, why), math.nan)


def against_rest(predictions: Predictions, subgroup: Mask) -> AgainstRest:
    """The test of the images (N,) in ``subgroup``; none where a patient is on both sides, or a class is missing."""
    patient = number_patients(predictions.patients)
    inside = np.bincount(patient, subgroup)
    if ((inside > 0) & (inside < np.bincount(patient))).any():
        return untested("patients with images on both sides")
    nets = [measure_auroc(selected(predictions, side)) for side in (~subgroup, subgroup)]
    values = np.array([one.value for one in nets])
    variations = [one.variation for one in nets if one.variation is not None]
    if len(variations) < 2:
        return untested(
            next(f"{one.why} in the {side}" for one, side in zip(nets, ("rest", "subgroup"), strict=True) if one.why)
        )
    recovered = Recovered(np.array([-1.0, 1.0]), values, variations, np.eye(2))
    difference = Interval(recovered.value, *recovered.interval(LEVEL))
    return AgainstRest(difference, max(recovered.p, _dealt(predictions, patient, inside > 0)))


def _dealt(predictions: Predictions, patient: NDArray[np.intp], inside: Mask) -> float:
    """Share of random subgroups, of patients as those (P,) ``inside``, that differ from their rest at least as much."""
    classes = np.zeros((len(inside), predictions.probabilities.shape[1]), bool)
    classes[patient, predictions.labels] = True
    strata = np.unique(classes, axis=0, return_inverse=True)[1].reshape(-1)
    observed = _differences(predictions, inside[None, patient])[0]
    rng, drawn, as_much = np.random.default_rng(0), 0, 0
    while drawn < MOST and as_much < ENOUGH:
        random = np.empty((_AT_ONCE, len(inside)), bool)
        for stratum in np.unique(strata):
            of = strata == stratum
            random[:, of] = rng.permuted(np.tile(inside[of], (_AT_ONCE, 1)), axis=1)
        as_much += int((_differences(predictions, random[:, patient]) >= observed - _ROUNDING).sum())
        drawn += _AT_ONCE
    return (as_much + 1) / (drawn + 1)


def _differences(predictions: Predictions, subgroups: Mask) -> NDArray[np.float64]:
    """Differences (R,) in AUROC, without sign, between each of ``subgroups`` (R, N) and its rest."""
    of_both = [
        resampled.auroc(
            Resamples(predictions.labels, predictions.probabilities, predictions.positive, side.astype(np.float64))
        )
        for side in (subgroups, ~subgroups)
    ]
    return np.asarray(np.abs(of_both[0] - of_both[1]))


def selected(predictions: Predictions, mask: Mask) -> Predictions:
    """The predictions of some images (N,)."""
    at = np.flatnonzero(mask)
    return replace(
        predictions,
        names=tuple(predictions.names[i] for i in at),
        labels=predictions.labels[at],
        probabilities=predictions.probabilities[at],
        groups=tuple(predictions.groups[i] for i in at) if predictions.groups else (),
    )


def adjust(tests: Sequence[AgainstRest]) -> list[AgainstRest]:
    """The tests with p-values adjusted for their number (Holm, 1979); what could not be tested does not count."""
    made = [one.p for one in tests if math.isfinite(one.p)]
    adjusted = iter(multipletests(made, method="holm")[1] if made else [])
    return [replace(one, adjusted=float(next(adjusted))) if math.isfinite(one.p) else one for one in tests]
