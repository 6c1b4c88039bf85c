"""A metric with what its intervals and comparisons need: how much each patient moves it, and how it varies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.pooled import fold_numbers
from medcls.evaluation.variation import Variation
from medcls.patients import number_patients
from medcls.runs.predictions import Predictions

Numbers = NDArray[np.intp]
Mask = NDArray[np.bool_]

# Patients, or images where none are known, below which no method was found to hold in simulation (docs/statistics.md).
LEAST = 5  # on either side of an AUROC; of a share whose images are clustered
LEAST_OF_MANY = 3  # of each class, where a metric is a mean over classes
LEAST_IN_FOLD = 2  # on either side of an AUROC in each fold
LEAST_ALIKE = 2  # that count alike, where LEAST are asked for: else there is not one degree of freedom
ONE_PATIENT = "one patient has most of the images"  # as one has where fewer than two count alike
_WORDS = {1: "no", 2: "fewer than two", 3: "fewer than three", 5: "fewer than five"}


@dataclass(frozen=True)
class Measured:
    """A metric in [0, 1], and the influence (P,) of each patient on it; an image of no known patient is one of its own.

    The estimated covariance of the metrics of two nets on the same P patients is the inner product of their influences.
    known: in [0, 1), how far that estimate is to be trusted, 0 where no image is misplaced. variation: at other true
    values; None where no method holds, and then ``why`` says so and influences are NaN. The value is NaN where a class
    has no image.
    """

    value: float
    influence: NDArray[np.float64]
    variation: Variation | None
    known: float = 0.0
    why: str = ""

    def limits(self, level: float) -> tuple[float, float]:
        """Two-sided confidence limits; NaN where no method holds."""
        return (np.nan, np.nan) if self.variation is None else self.variation.limits(self.value, level)


@dataclass(frozen=True, eq=False)
class Units:
    """Who the images (N,) are of, the number of their patient and of their fold, both from 0; predicted: their class.

    Several metrics of the same predictions, and of each of many classes, share one.
    """

    patient: Numbers
    fold: Numbers
    predicted: Numbers

    @classmethod
    def of(cls, predictions: Predictions, predicted: Numbers | None = None) -> "Units":
        """Of the images of ``predictions``; without ``predicted`` the most probable class is."""
        if predicted is None:
            predicted = np.asarray(predictions.probabilities.argmax(axis=1))
        return cls(number_patients(predictions.patients), fold_numbers(predictions), predicted)

    @property
    def n_patients(self) -> int:
        return int(self.patient.max(initial=-1)) + 1

    @property
    def clustered(self) -> bool:
        """Whether a patient has several images."""
        return self.n_patients < len(self.patient)

    @property
    def folds(self) -> list[Mask]:
        """The images (N,) of each fold; of one that has all images, outside of cross-validation."""
        return [self.fold == k for k in np.unique(self.fold)]

    @property
    def everything(self) -> Mask:
        """All images (N,)."""
        return np.ones(len(self.patient), bool)

    def count(self, images: Mask) -> int:
        """Number of patients of ``images``."""
        return int(np.count_nonzero(np.bincount(self.patient[images])))

    def sizes(self, images: Mask) -> NDArray[np.float64]:
        """Number (P,) of each patient's ``images``."""
        return np.bincount(self.patient[images], minlength=self.n_patients).astype(np.float64)

    def alike(self, images: Mask) -> float:
        """Effective number of patients of ``images``: as if all had equally many images (Kish, 1965)."""
        sizes = self.sizes(images)
        return float(sizes.sum() ** 2 / (sizes**2).sum())

    def correction(self, images: Mask, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factors (P,) on patients' sums of ``deviations`` of ``images`` from their mean, whose squares are a variance.

        A patient with a share w of the images draws the mean to itself, which 1 / sqrt(1 - w) makes up for (Bell &
        McCaffrey, 2002, Survey Methodology 28:169). A few with most images deviate little together now and then: the
        squares are to add up at least to what follows from the mean product of two images of a patient, each patient
        weighted by its images, if that is the same for all. Of equally many images each it always is what they add
        up to.
        """
        sizes, patient = self.sizes(images), self.patient[images]
        rest = sizes.sum() - sizes
        factor: NDArray[np.float64] = np.sqrt(np.divide(sizes.sum(), rest, out=np.ones_like(sizes), where=rest > 0))
        if np.ptp(sizes[sizes > 0]) == 0:
            return factor
        squares = (np.bincount(patient, deviations, self.n_patients) * factor) ** 2
        single = np.bincount(patient, deviations**2, self.n_patients)
        several = sizes > 1
        product = ((squares - single)[several] / (sizes[several] - 1)).sum() / sizes[several].sum()
        expected, found = single.sum() + product * (sizes * (sizes - 1)).sum(), squares.sum()
        return np.asarray(factor * np.sqrt(expected / found)) if expected > found > 0 else factor

    def contributions(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Patients' sums (P,) of ``deviations`` of all images, corrected so that their squares are a variance."""
        return self.summed(deviations) * self.correction(self.everything, deviations)

    def summed(self, influence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Influence (P,) of each patient from that of each image."""
        return np.asarray(np.bincount(self.patient, influence, self.n_patients), dtype=np.float64)

    def too_few(self, sides: Sequence[Mask], least: int, *, in_fold: int = 1) -> str:
        """In words that one of ``sides`` has fewer than ``least`` patients, or ``in_fold`` of a fold; "" where none.

        Or that one of them has most of its images, unless that matters less, as in a mean over classes.
        """
        unit = "patients" if self.clustered else "images"
        fewest = min(self.count(side) for side in sides)
        if fewest < least:
            return f"{_WORDS[least if fewest else 1]} {unit} of a class"
        if any(self.count(side & fold) < in_fold for fold in self.folds for side in sides):
            return f"{_WORDS[in_fold]} {unit} of a class in a fold"
        return ONE_PATIENT if least == LEAST and any(self.alike(side) < LEAST_ALIKE for side in sides) else ""


def undefined(units: Units, value: float, why: str) -> Measured:
    """A metric without an interval."""
    return Measured(value, np.full(units.n_patients, np.nan), None, why=why)


def drawn(known: float, estimate: float, prior: float) -> float:
    """Geometric mean of an estimated factor and of one assumed, by how far the estimate is ``known``."""
    # The logarithm of an estimate of 0, which nothing is known of, would make the mean 0.
    return float(np.exp(known * np.log(max(estimate, 1e-3)) + (1 - known) * np.log(prior)))


def trust(misplaced: float) -> float:
    """How far a variance can be estimated from so many misplaced images or patients: in [0, 1), 0 for none."""
    return misplaced / (misplaced + 2)
