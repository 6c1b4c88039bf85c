"""Training images that are also in validation or test, or whose patients are."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.audit.copies import Copies
from medcls.data.table import Sample


@dataclass(frozen=True)
class Leaks:
    """Images that must not be trained on if metrics of the other splits are to be trusted.

    ``by_copy``, ``by_patient`` (N,): training images with a copy, or with their patient, in validation or test;
    ``between`` (N,): validation images with a copy, or with their patient, in test, so that validation is not
    independent of the test. ``patients``: patients in more than one split -> number of images per split.
    """

    by_copy: NDArray[np.bool_]
    by_patient: NDArray[np.bool_]
    between: NDArray[np.bool_]
    patients: dict[str, dict[str, int]]

    @property
    def training(self) -> NDArray[np.bool_]:
        """Training images (N,) that leak either way."""
        return self.by_copy | self.by_patient


def find_leaks(samples: Sequence[Sample], copies: Copies) -> Leaks:
    """Leaks between the splits of ``samples``, which are in the order of ``copies``."""
    split = np.array([sample.split for sample in samples])
    shared = shared_patients(samples)
    shared_by = [shared.get(sample.group, {}) if sample.group else {} for sample in samples]
    patient_in = {name: np.array([name in counts for counts in shared_by], bool) for name in ("val", "test")}
    copy_in = {name: has_copy_in(split == name, copies) for name in ("val", "test")}
    train, val = split == "train", split == "val"
    return Leaks(
        by_copy=train & (copy_in["val"] | copy_in["test"]),
        by_patient=train & (patient_in["val"] | patient_in["test"]),
        between=val & (copy_in["test"] | patient_in["test"]),
        patients=shared,
    )


def has_copy_in(chosen: NDArray[np.bool_], copies: Copies) -> NDArray[np.bool_]:
    """Which images (N,) are in a group with one of the ``chosen`` (N,), which counts as a copy of itself."""
    holds = np.zeros(len(chosen), bool)  # by group
    holds[copies.group[chosen]] = True
    found: NDArray[np.bool_] = holds[copies.group]
    return found


def shared_patients(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    """Patients with images in more than one split, and the number of images in each."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for sample in samples:
        if sample.group:
            counts[sample.group][sample.split] = counts[sample.group].get(sample.split, 0) + 1
    return {patient: count for patient, count in sorted(counts.items()) if len(count) > 1}
