"""Whether the files alone, or their brightness, predict the class: what a net could learn instead of the disease."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.audit.file_facts import FileFacts
from medcls.data.table import SampleTable
from medcls.patients import number_patients

_MOST_IMAGES = 5000  # more images change the AUROC by less than the width of its interval
_FOLDS = 5


def find_shortcut(
    table: SampleTable, facts: Sequence[FileFacts], brightness: NDArray[np.float64]
) -> dict[str, Any] | None:
    """AUROC of a small decision tree that sees only properties of the files, with its interval; each feature's AUROC.

    brightness: mean gray level (N,). Cross-validated over the images of all splits, by patient where patients are
    known. With more than two classes the one-vs-rest mean over classes. None if a class has too few images.
    """
    from medcls.evaluation.intervals import intervals
    from medcls.evaluation.metrics import METRICS, scores
    from medcls.runs.predictions import Predictions

    labels = np.array([sample.label for sample in table.samples])
    chosen = subset(labels)
    labels = labels[chosen]
    groups = [sample.group for sample in table.samples]
    columns = {name: values[chosen] for name, values in features(facts, brightness).items()}
    columns = {name: values for name, values in columns.items() if (values != values[0]).any()}
    folds = make_folds(labels, number_patients(groups)[chosen])
    if folds is None:
        return None
    alone = {
        name: scores(labels, cross_val_predict(values[:, None], labels, folds), 1)["auroc"]
        for name, values in columns.items()
    }
    together = np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(labels), 1))
    probabilities = cross_val_predict(together, labels, folds)
    names, patients = zip(*((table.samples[i].name, groups[i]) for i in chosen), strict=True)
    found = Predictions("", names, labels, probabilities, 1, patients)
    interval = intervals(found, [METRICS["auroc"]])["auroc"]
    return {
        "auroc": {name: round(getattr(interval, name), 4) for name in ("value", "low", "high")},
        "features": {name: round(alone[name], 4) for name in sorted(alone, key=lambda name: -alone[name])},
        "images": len(labels),
    }


def features(facts: Sequence[FileFacts], brightness: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """What is known without looking at the picture, one column (N,) each; words as numbers in alphabetical order."""
    columns: dict[str, NDArray[np.float64]] = {"mean brightness": brightness}
    for name in FileFacts._fields:
        values = [getattr(fact, name) for fact in facts]
        number = np.unique(values, return_inverse=True)[1] if isinstance(values[0], str) else np.array(values)
        columns[{"bytes": "file size"}.get(name, name)] = number.astype(np.float64)
    return columns


def subset(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of all images, or of a random sample of every class if there are too many."""
    rng = np.random.default_rng(0)
    share = min(1.0, _MOST_IMAGES / len(labels))
    parts = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.sort(np.concatenate([rng.permutation(part)[: max(20, int(len(part) * share))] for part in parts]))


def make_folds(labels: NDArray[np.int64], patients: NDArray[np.intp]) -> list[tuple[Any, Any]] | None:
    """Training and left-out positions of each fold; None if a class has too few images or patients are too few."""
    from sklearn.model_selection import StratifiedGroupKFold

    if min(np.bincount(labels)) < _FOLDS or len(np.unique(labels)) < 2 or len(np.unique(patients)) < _FOLDS:
        return None
    split = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0).split(labels, labels, patients)
    folds = [(train, rest) for train, rest in split if len(rest)]
    n_classes = len(np.unique(labels))
    return folds if all(len(np.unique(labels[train])) == n_classes for train, _ in folds) else None


def cross_val_predict(
    values: NDArray[np.float64], labels: NDArray[np.int64], folds: list[tuple[Any, Any]]
) -> NDArray[np.float64]:
    """Probabilities (N, C) from columns (N, F), for each image by the tree that has not seen it."""
    from sklearn.tree import DecisionTreeClassifier

    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    for train, rest in folds:
        # Leaves of a few percent of the images, so that the tree learns a trend and memorizes no image.
        tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=max(2, len(train) // 50), random_state=0)
        probabilities[rest] = tree.fit(values[train], labels[train]).predict_proba(values[rest])
    return probabilities
