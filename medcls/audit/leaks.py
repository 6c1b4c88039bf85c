"""Which training images are also, or whose patients are also, in validation or test."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.audit.copies import Copies
from medcls.data.table import Sample


@dataclass(frozen=True)
class Leaks:
    """Training images that must not be trained on if the other splits are to be believed.

    ``by_copy``, ``by_patient`` (N,): training images that have a copy, or a patient, in validation or test;
    ``between`` (N,): validation images with a copy or a patient in test, which make validation look at the test.
    ``patients``: patients in more than one split -> number of images by split.
    """

    by_copy: NDArray[np.bool_]
    by_patient: NDArray[np.bool_]
    between: NDArray[np.bool_]
    patients: dict[str, dict[str, int]]

    @property
    def training(self) -> NDArray[np.bool_]:
        """Training images (N,) that leak in either way."""
        return self.by_copy | self.by_patient


def find_leaks(samples: Sequence[Sample], copies: Copies) -> Leaks:
    """Leaks between the splits of ``samples``, whose positions are those of ``copies``."""
    split = np.array([sample.split for sample in samples])
    shared = shared_patients(samples)
    of_patient = [shared.get(sample.group, {}) if sample.group else {} for sample in samples]
    patient_in = {name: np.array([name in found for found in of_patient], bool) for name in ("val", "test")}
    copy_in = {name: has_copy_in(split == name, copies) for name in ("val", "test")}
    train, val = split == "train", split == "val"
    return Leaks(
        by_copy=train & (copy_in["val"] | copy_in["test"]),
        by_patient=train & (patient_in["val"] | patient_in["test"]),
        between=val & (copy_in["test"] | patient_in["test"]),
        patients=shared,
    )


def has_copy_in(chosen: NDArray[np.bool_], copies: Copies) -> NDArray[np.bool_]:
    """Which images (N,) have a copy among the ``chosen`` (N,); a chosen one is a copy of itself."""
    holds = np.zeros(len(chosen), bool)  # by picture
    holds[copies.picture[chosen]] = True
    near = holds.copy()
    near[copies.first[holds[copies.second]]] = True
    near[copies.second[holds[copies.first]]] = True
    found: NDArray[np.bool_] = near[copies.picture]
    return found


def shared_patients(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    """Patients with images in more than one split, and how many in each."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for sample in samples:
        if sample.group:
            counts[sample.group][sample.split] = counts[sample.group].get(sample.split, 0) + 1
    return {patient: count for patient, count in sorted(counts.items()) if len(count) > 1}
