"""The six metrics that every run reports, computed by scikit-learn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, multilabel_confusion_matrix, recall_score, roc_auc_score

METRICS = ("accuracy", "balanced_accuracy", "auroc", "sensitivity", "specificity", "f1")


def scores(labels: NDArray[Any], probabilities: NDArray[Any], positive: int) -> dict[str, float]:
    """Every metric of ``METRICS``; each in [0, 1], or NaN where a class without images leaves it undefined.

    labels: (N,) integers in [0, C); probabilities: (N, C) in [0, 1], whose rows need not sum to 1 (independent
    sigmoids). The predicted class is the most probable one, the lower index on a tie: with two classes summing to 1,
    class 1 above 0.5. Two classes: AUROC, sensitivity, specificity and F1 are of class ``positive``. More:
    ``positive`` is ignored and they are means over the classes, each against the rest.
    Raises ValueError on shapes that do not fit, no images, labels out of range, or probabilities that are not finite.
    """
    _check(labels, probabilities)
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    present = np.isin(classes, labels)
    recall = recall_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    f1 = f1_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    per_class = {
        "auroc": np.array([_auroc(labels == k, probabilities[:, k]) for k in classes]),
        "sensitivity": recall,
        "specificity": _specificity(labels, predicted, classes),
        # F1 of a class without images is 0 after one false alarm, whatever the net: no statement about it.
        "f1": np.where(present, f1, np.nan),
    }
    # np.mean and not nanmean: a mean over fewer classes than the data set has is another metric under the same name.
    reported = {name: v[positive] if len(classes) == 2 else v.mean() for name, v in per_class.items()}
    every = {"accuracy": accuracy_score(labels, predicted), "balanced_accuracy": recall.mean(), **reported}
    return {name: float(every[name]) for name in METRICS}


def _auroc(is_class: NDArray[np.bool_], score: NDArray[Any]) -> float:
    # Asked first: without one of the two sides scikit-learn raises or warns, depending on its version.
    return float(roc_auc_score(is_class, score)) if is_class.any() and not is_class.all() else float("nan")


def _specificity(labels: NDArray[Any], predicted: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    """One-vs-rest specificity, (C,); NaN for a class that all images belong to."""
    (true_negative, false_positive), _ = multilabel_confusion_matrix(labels, predicted, labels=classes).transpose(
        1, 2, 0
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(true_negative / (true_negative + false_positive))


def _check(labels: NDArray[Any], probabilities: NDArray[Any]) -> None:
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}: expected (N,) and (N, C)")
    n_classes = probabilities.shape[1]
    if len(labels) == 0 or n_classes < 2:
        raise ValueError(f"{len(labels)} images, {n_classes} classes: expected at least one image and two classes")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{(~np.isfinite(probabilities)).any(axis=1).sum()} of {len(labels)} rows are not finite")
