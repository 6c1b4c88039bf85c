"""Nets that say nothing: the same answer for every image, or one class only."""

from enum import Enum

import numpy as np

from medcls.runs.predictions import Predictions

# A net on the plateau of the constant prediction differs between images by rounding; so do its probabilities.
_SAME = 1e-4


class Constant(Enum):
    """What a net that says nothing answers; the value is what is said of it."""

    ANSWER = "the same answer for every image"
    CLASS = "one class only"


def constant(predictions: Predictions) -> Constant | None:
    """Whether a net gives all images the same probabilities (within 0.0001), or the same class; None of others.

    A net that answers one class only may still rank images: its AUROC says whether it does. A single image tells
    nothing.
    """
    if len(predictions.labels) < 2:
        return None
    if float(np.ptp(predictions.probabilities, axis=0).max()) <= _SAME:
        return Constant.ANSWER
    return Constant.CLASS if len(np.unique(predictions.probabilities.argmax(axis=1))) == 1 else None
