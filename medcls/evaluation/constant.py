"""Nets that carry no information: one answer for every image, one class only, or a loss no better than a constant's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcls.runs.predictions import Predictions

SAME = 1e-4  # largest spread of a class's probability over the images that is taken for rounding
_ROUNDING = 1e-4  # of a loss, relative


def says_nothing(found: Predictions, classes: Sequence[str]) -> str:
    """What the net does instead of telling the images apart, in words; empty where it does tell them apart."""
    if len(found.names) < 2:
        return ""
    if float(np.ptp(found.probabilities, axis=0).max()) <= SAME:
        return "answers the same for every image"
    guesses = np.unique(found.probabilities.argmax(axis=1))
    return f"calls every image {classes[guesses[0]]}" if len(guesses) == 1 else ""


def constant_loss(
    labels: NDArray[np.int64], outputs: str, class_weights: Sequence[float] | None, n_classes: int
) -> float:
    """The lowest loss that one answer for all of these images reaches: the entropy of the class shares, in nats.

    labels: (N,); outputs: "bce", "cross_entropy" or "one_vs_rest", where it is the mean entropy of each class against
    the rest; with class_weights (C,) each image counts as much as its class's weight.
    """
    share = np.bincount(labels, minlength=n_classes) * (1 if class_weights is None else np.asarray(class_weights))
    share = share / share.sum()
    if outputs == "one_vs_rest":
        return float(np.mean(_surprise(share) + _surprise(1 - share)))
    return float(_surprise(share).sum())


def beats(loss: float, constant: float) -> bool:
    """Whether a validation loss is below that of the constant answer by more than rounding."""
    return loss < constant * (1 - _ROUNDING)


def _surprise(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-share * np.log(np.where(share > 0, share, 1)))
