"""Whether AUROC in a subgroup differs from that in all other images, with an interval of the difference.

Both are of two independent samples, from the limits of each (MOVER: Zou & Donner, 2008; docs/statistics.md), so that
they never disagree. Permutation tests were tried: permuting patients is exact where subgroup and rest differ in
nothing, but finds scores of another shape with the same AUROC different in up to 17 % of data sets; divided by
DeLong's error (Chung & Romano, 2013; Pauly, Asendorf & Konietschke, 2016), in up to 35 % where few images are
misplaced. Levels of this test: benchmarks/subgroup_levels.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

from medcls.evaluation.areas import measure_auroc
from medcls.evaluation.difference import Recovered
from medcls.evaluation.interval import LEVEL, Interval
from medcls.patients import number_patients
from medcls.runs.predictions import Predictions

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class AgainstRest:
    """AUROC of the subgroup minus that of the rest, with the p-value of no difference (NaN where there is no test).

    p is below 5 % just where the 95 % interval excludes 0. adjusted: after Holm, over all tests made together.
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
    return AgainstRest(difference, recovered.p)


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
