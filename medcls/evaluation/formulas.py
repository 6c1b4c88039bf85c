"""The formulas of the metrics that every run reports, computed by scikit-learn.

labels: (N,) integers in [0, C); probabilities: (N, C) in [0, 1], whose rows need not sum to 1 (independent sigmoids).
The predicted class is the most probable one, the lower index on a tie: with two classes summing to 1, class 1 above
0.5. Each value is in [0, 1], or NaN where a class without images leaves it undefined.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, multilabel_confusion_matrix, recall_score, roc_auc_score

Array = NDArray[Any]


def counted_classes(n_classes: int, positive: int) -> list[int]:
    """The classes that a one-vs-rest metric is the mean over: ``positive`` alone of two, else all."""
    return [positive] if n_classes == 2 else list(range(n_classes))


def over_classes(per_class: Array, positive: int) -> Array:
    """One number (...) from a metric of each class (..., C)."""
    classes = counted_classes(per_class.shape[-1], positive)
    # mean and not nanmean: a mean over fewer classes than the data set has is another metric under the same name.
    return np.asarray(per_class[..., classes[0]] if len(classes) == 1 else per_class.mean(axis=-1))


def accuracy(labels: Array, probabilities: Array, positive: int) -> float:
    """Share of images whose most probable class is theirs."""
    return float(accuracy_score(labels, probabilities.argmax(axis=1)))


def balanced_accuracy(labels: Array, probabilities: Array, positive: int) -> float:
    """Mean over all classes of the share of their images that is recognized."""
    return float(_recall(labels, probabilities).mean())


def auroc(labels: Array, probabilities: Array, positive: int) -> float:
    """Area under the ROC curve of each class against the rest."""
    classes = range(probabilities.shape[1])
    return float(over_classes(np.array([_auroc(labels == k, probabilities[:, k]) for k in classes]), positive))


def sensitivity(labels: Array, probabilities: Array, positive: int) -> float:
    """Share of a class's images that is recognized."""
    return float(over_classes(_recall(labels, probabilities), positive))


def specificity(labels: Array, probabilities: Array, positive: int) -> float:
    """Share of the other images that is not taken for the class; NaN where all images belong to it."""
    predicted, classes = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    confusion = multilabel_confusion_matrix(labels, predicted, labels=classes)
    (true_negative, false_positive), _ = confusion.transpose(1, 2, 0)
    with np.errstate(invalid="ignore"):
        return float(over_classes(true_negative / (true_negative + false_positive), positive))


def f1(labels: Array, probabilities: Array, positive: int) -> float:
    """Harmonic mean of sensitivity and precision of each class."""
    predicted, classes = probabilities.argmax(axis=1), np.arange(probabilities.shape[1])
    per_class = f1_score(labels, predicted, labels=classes, average=None, zero_division=np.nan)
    # F1 of a class without images is 0 after one false alarm, whatever the net: no statement about it.
    return float(over_classes(np.where(np.isin(classes, labels), per_class, np.nan), positive))


def check_predictions(labels: Array, probabilities: Array) -> None:
    """Raise ValueError on shapes that do not fit, no images, labels out of range, or probabilities not finite."""
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape}: expected (N,) and (N, C)")
    n_classes = probabilities.shape[1]
    if len(labels) == 0 or n_classes < 2:
        raise ValueError(f"{len(labels)} images, {n_classes} classes: expected at least one image and two classes")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: expected 0 to {n_classes - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{(~np.isfinite(probabilities)).any(axis=1).sum()} of {len(labels)} rows are not finite")


def _recall(labels: Array, probabilities: Array) -> Array:
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)
    return np.asarray(recall_score(labels, predicted, labels=classes, average=None, zero_division=np.nan))


def _auroc(is_class: NDArray[np.bool_], score: Array) -> float:
    # Asked first: without one of the two sides scikit-learn raises or warns, depending on its version.
    return float(roc_auc_score(is_class, score)) if is_class.any() and not is_class.all() else float("nan")
