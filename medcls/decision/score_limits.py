"""Limits of a parameter of a likelihood that hold where few images carry information on it."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t

from medcls.evaluation.measured import LEAST, Units, drawn, trust

Float = NDArray[np.float64]
Score = Callable[[float], tuple[Float, float, float]]


def few_misplaced(units: Units, labels: NDArray[np.int64]) -> str:
    """Why no interval of calibration would hold, in words: too few images are misplaced; "" where enough are."""
    unit = "patients" if units.clustered else "images"
    return f"fewer than five misplaced {unit}" if count_misplaced(units, labels) < LEAST else ""


def count_misplaced(units: Units, labels: NDArray[np.int64]) -> int:
    """Number of patients with an image whose most probable class is not its own."""
    return len(np.unique(units.patient[units.predicted != labels]))


def score_limits(
    score: Score, value: float, bounds: tuple[float, float], units: Units, doubtful: float, level: float
) -> tuple[float, float]:
    """The values from which the estimate ``value`` is just as far as their own information allows (Rao, 1948).

    An error at the estimate would be far too small where nearly all images are told apart. score: at a value, that of
    each image (N,), whose sum falls with it, and what is expected of this sum: variance (the information) and third
    cumulant; bounds: beyond which no limit is sought. Where the sum is skewed, as by a few misplaced images, the
    quantile of its long side is moved by it (Cornish and Fisher, 1938).
    The variance over patients, relative to the information, is taken at the estimate, and drawn to that of images which
    are alike within patients where few are ``doubtful``, a number of images.
    """
    of_images, information, _ = score(value)
    alike = units.alike(units.everything)
    meat = float((units.contributions(of_images) ** 2).sum())
    prior = len(of_images) / alike
    inflation = (
        drawn(trust(4 * doubtful * alike / units.n_patients), meat / information, prior) if information > 0 else prior
    )
    critical = float(t.ppf((1 + level) / 2, alike - 1))

    def beyond(at: float) -> float:
        of_images, information, third = score(at)
        total, skew = float(of_images.sum()), inflation * third / information if information > 0 else 0.0
        longer = max(math.copysign(1, total) * skew, 0.0) * (critical**2 - 1) / 6
        return abs(total) - critical * math.sqrt(inflation * max(information, 0.0)) - longer

    low, high = (float(brentq(beyond, value, end)) if beyond(end) > 0 else float(end) for end in bounds)
    return low, high
