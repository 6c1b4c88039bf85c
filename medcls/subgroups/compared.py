"""Metrics in each subgroup, and whether its AUROC differs from that of all other images (``against_rest``).

p-values are adjusted for all subgroups of all columns; where two subgroups are each other's rest, as men and women are,
there is one test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.interval import Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS
from medcls.patients import number_patients
from medcls.runs.predictions import Predictions
from medcls.subgroups.against_rest import AgainstRest, Mask, adjust, against_rest, selected, untested

FEWEST = 10  # patients, or images where none are known: below, nothing is shown


@dataclass(frozen=True)
class Subgroup:
    """The images of which ``column`` has ``value``: metrics by name with intervals; n_patients None where unknown.

    test: of its AUROC; the difference is NaN where there is none, and says why.
    """

    column: str
    value: str
    n: int
    n_patients: int | None
    metrics: dict[str, Interval]
    test: AgainstRest


@dataclass(frozen=True)
class Subgroups:
    """Those of at least ``FEWEST`` patients; small: how many others each column has; tests: how many were made."""

    found: tuple[Subgroup, ...]
    small: dict[str, int]
    tests: int


def find_subgroups(
    predictions: Predictions, columns: Mapping[str, Sequence[str]], predicted: NDArray[np.int64] | None = None
) -> Subgroups:
    """The subgroups of images, by column -> value of each; predicted: as ``intervals`` takes it."""
    masks = {
        (column, value): np.array([one == value for one in values])
        for column, values in columns.items()
        for value in sorted(set(values))
    }
    patient = number_patients(predictions.patients)
    large = {key: mask for key, mask in masks.items() if len(np.unique(patient[mask])) >= FEWEST}
    tests = compared_to_rest(predictions, list(large.values()))
    found = []
    for ((column, value), mask), test in zip(large.items(), tests, strict=True):
        part = selected(predictions, mask)
        patients = part.n_patients if any(part.groups) else None
        of_part = None if predicted is None else predicted[mask]
        metrics = intervals(part, list(METRICS.values()), predicted=of_part)
        found.append(Subgroup(column, value, int(mask.sum()), patients, metrics, test))
    small = {column: sum(key[0] == column for key in masks.keys() - large.keys()) for column in columns}
    tested = {_sides(mask) for mask, test in zip(large.values(), tests, strict=True) if np.isfinite(test.p)}
    return Subgroups(tuple(found), small, len(tested))


def compared_to_rest(predictions: Predictions, masks: Sequence[Mask]) -> list[AgainstRest]:
    """Each subgroup (N,) of images tested against the rest, adjusted for the number of tests."""
    patient = number_patients(predictions.patients)
    smaller = {_sides(mask): mask if 2 * mask.sum() <= len(mask) else ~mask for mask in masks}
    made = dict(zip(smaller, adjust([_test(predictions, mask, patient) for mask in smaller.values()]), strict=True))
    return [
        made[_sides(mask)] if np.array_equal(mask, smaller[_sides(mask)]) else made[_sides(mask)].mirrored
        for mask in masks
    ]


def _sides(mask: Mask) -> bytes:
    """The same for a subgroup and for its rest."""
    return bytes((mask if mask[0] else ~mask).tobytes())


def _test(predictions: Predictions, mask: Mask, patient: NDArray[np.intp]) -> AgainstRest:
    if min(len(np.unique(patient[side])) for side in (mask, ~mask)) < FEWEST:
        return untested(f"fewer than {FEWEST} patients in the rest")
    return against_rest(predictions, mask)
