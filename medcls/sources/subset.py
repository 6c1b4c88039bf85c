"""An image set without some of its images: those that leak, or all but a part of the training images."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from medcls.data.image_set import ImageSet, fingerprint
from medcls.data.table import Sample, check_counts

log = logging.getLogger(__name__)


LEAKS = (
    "audit.on_leak=drop",
    "All its training images, or their patients, are in validation or test too: move some.",
)


def without(image_set: ImageSet, positions: Collection[int], cause: tuple[str, str]) -> ImageSet:
    """The image set without the images at ``positions``.

    Raises UserError if a class has no training image left, with ``cause`` as in ``check_counts``.
    """
    keep = np.setdiff1d(np.arange(len(image_set.table.samples)), list(positions))
    table = replace(image_set.table, samples=tuple(image_set.table.samples[i] for i in keep))
    check_counts(table, cause)
    digests = tuple(image_set.digests[i] for i in keep)
    return replace(
        image_set,
        table=table,
        images=image_set.images[keep],
        digests=digests,
        fingerprint=fingerprint(table, digests),
    )


def with_part_of_training(image_set: ImageSet, fraction: float, seeds: tuple[int, int]) -> ImageSet:
    """The image set with ``fraction`` of its training patients, of each class alike and at least one.

    An image of an unknown patient counts as one of its own. seeds: of the split and of the run, so that the nets of
    several runs differ by what a part happens to hold; of the same two a smaller part lies within each larger one.
    """
    if fraction == 1:
        return image_set
    samples = image_set.table.samples
    training = [i for i, sample in enumerate(samples) if sample.split == "train"]
    kept = _some_patients([samples[i] for i in training], fraction, seeds)
    left_out = [i for i in training if _patient(samples[i]) not in kept]
    of_patients = f" of {len(kept)} patients" if image_set.table.grouped else ""
    n = len(training) - len(left_out)
    log.info("data.train_fraction=%g: trains on %d of %d images%s", fraction, n, len(training), of_patients)
    cause = f"data.train_fraction={fraction:g}", "Choose a larger part, or add images of this class."
    return without(image_set, left_out, cause)


def _some_patients(samples: Collection[Sample], fraction: float, seeds: tuple[int, int]) -> set[tuple[bool, str]]:
    """The patients to keep; each counts for the class that most of its images are of, the first of several."""
    labels: dict[tuple[bool, str], Counter[int]] = defaultdict(Counter)
    for sample in samples:
        labels[_patient(sample)][sample.label] += 1
    of_class = defaultdict(list)
    for patient in sorted(labels):
        of_class[max(sorted(labels[patient]), key=labels[patient].__getitem__)].append(patient)
    kept = set()
    for label, patients in sorted(of_class.items()):
        order = np.random.default_rng((*seeds, label)).permutation(len(patients))
        kept |= {patients[i] for i in order[: max(1, round(fraction * len(patients)))]}
    return kept


def _patient(sample: Sample) -> tuple[bool, str]:
    """A patient, or an image of unknown patient, by a key that no patient has."""
    return bool(sample.group), sample.group or sample.name
