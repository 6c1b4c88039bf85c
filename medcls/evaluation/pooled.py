"""The folds of a cross-validation as one result: every image judged once, by a net that has not seen its patient."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medcls.runs.predictions import Predictions


@dataclass(frozen=True)
class CrossValidated(Predictions):
    """Predictions of the nets of all folds on the images that each was validated on; folds: each image's number (N,).

    Metrics of it are means over folds, each measured within itself: a pooled AUROC would compare images that
    different nets judged, and nets that are scaled differently lower it (Airola et al., 2011,
    doi 10.1016/j.csda.2010.11.023). An interval is about other patients, not about other nets: it does not contain the
    spread of retraining.
    """

    folds: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))

    def select(self, names: Sequence[str]) -> "CrossValidated":
        selected, at = super().select(names), {name: i for i, name in enumerate(self.names)}
        assert isinstance(selected, CrossValidated)
        return replace(selected, folds=self.folds[[at[name] for name in names]])


def fold_numbers(predictions: Predictions) -> NDArray[np.intp]:
    """Number (N,) of each image's fold, all 0 outside of cross-validation."""
    if isinstance(predictions, CrossValidated):
        return predictions.folds
    return np.zeros(len(predictions.labels), np.intp)


def pool(folds: Sequence[Predictions]) -> CrossValidated:
    """The folds of a cross-validation as one, in the order of the images' names.

    The order is no fold's, so that two ways to divide the same images can be compared.
    Raises ValueError for an image or a patient in two folds, and for folds of different data.
    """
    check_apart("image", [fold.names for fold in folds])
    check_apart("patient", [fold.groups for fold in folds])
    if len({(fold.data, fold.positive, fold.probabilities.shape[1], bool(fold.groups)) for fold in folds}) > 1:
        raise ValueError("the folds are of different data")
    pooled = CrossValidated(
        folds[0].data,
        tuple(name for fold in folds for name in fold.names),
        np.concatenate([fold.labels for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
        folds[0].positive,
        tuple(group for fold in folds for group in fold.groups),
        np.repeat(np.arange(len(folds)), [len(fold.names) for fold in folds]),
    )
    return pooled.select(sorted(pooled.names))


def check_apart(what: str, members: Sequence[Sequence[str]]) -> None:
    """Raise ValueError for a name in two folds; "" is no name."""
    known: set[str] = set()
    for names in members:
        if twice := sorted(known & set(names) - {""}):
            raise ValueError(f"the {what} {twice[0]} is in two folds, so they are not of one cross-validation")
        known.update(names)
