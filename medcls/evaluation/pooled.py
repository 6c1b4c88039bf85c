"""The folds of a cross-validation as one result: every image judged once, by a net that has not seen its patient."""

from collections.abc import Sequence

import numpy as np

from medcls.runs.predictions import Predictions


def pool(folds: Sequence[Predictions]) -> Predictions:
    """What the nets of all folds say of the images that each was validated on, in the order of the images' names.

    The order is no fold's, so that two ways to divide the same images can be compared. An interval on the pooled images
    is about other patients, not about other nets: it does not contain the spread of retraining. The pooled
    AUROC also compares images that different nets judged: nets that are scaled differently lower it, and then it lies
    below the mean of the folds (Airola et al., 2011, doi 10.1016/j.csda.2010.11.023).
    Raises ValueError for an image or a patient in two folds, and for folds of different data.
    """
    check_apart("image", [fold.names for fold in folds])
    check_apart("patient", [fold.groups for fold in folds])
    if len({(fold.data, fold.positive, fold.probabilities.shape[1], bool(fold.groups)) for fold in folds}) > 1:
        raise ValueError("the folds are of different data")
    pooled = Predictions(
        folds[0].data,
        tuple(name for fold in folds for name in fold.names),
        np.concatenate([fold.labels for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
        folds[0].positive,
        tuple(group for fold in folds for group in fold.groups),
    )
    return pooled.select(sorted(pooled.names))


def check_apart(what: str, members: Sequence[Sequence[str]]) -> None:
    """Raise ValueError for a name in two folds; "" is no name."""
    known: set[str] = set()
    for names in members:
        if twice := sorted(known & set(names) - {""}):
            raise ValueError(f"the {what} {twice[0]} is in two folds, so they are not of one cross-validation")
        known.update(names)
