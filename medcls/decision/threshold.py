"""The threshold that a rule asks for, on validation images, and what it decides on any."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import roc_curve

from medcls.config.schema import ThresholdConfig
from medcls.decision.rule import in_words, on_images, rule_of
from medcls.runs.predictions import Predictions

_ROUNDING = 1e-12  # 1 - 0.1 and 0.9 are one share


@dataclass(frozen=True)
class Threshold:
    """The positive class is chosen from the probability ``value`` in (0, 1) on; None: the most probable class is.

    rule: its key and value, none for the most probable class; why: in words why there is no threshold where a rule asks
    for one.
    """

    rule: dict[str, float | str] = field(default_factory=dict)
    value: Annotated[float, Field(gt=0, lt=1)] | None = None
    why: str = ""

    @property
    def by(self) -> str:
        """The rule as it is typed."""
        return in_words(self.rule)

    def chosen_on(self, images: str) -> str:
        """The rule as it is typed, and the images that it was met on, except for a value, which needs none."""
        return on_images(self.rule, images)

    def decide(self, probabilities: NDArray[np.floating[Any]], positive: int) -> NDArray[np.int64]:
        """The class (N,) of images with probabilities (N, C)."""
        if self.value is None:
            return np.asarray(probabilities.argmax(axis=1), np.int64)
        # Compared in single precision, a threshold between two neighboring probabilities would be rounded to one.
        own = probabilities[:, positive].astype(np.float64)
        return np.where(own >= self.value, positive, 1 - positive).astype(np.int64)


def choose_threshold(predictions: Predictions, threshold: ThresholdConfig) -> Threshold:
    """The threshold of the rule on these images of two classes, in the middle between two of their probabilities.

    There is none where a class has no image, or where the rule calls all images the same. Of thresholds that are
    equally good the highest is taken.
    """
    rule = rule_of(threshold)
    if not rule:
        return Threshold()
    if "value" in rule:
        return Threshold(rule, threshold.value)
    is_positive = predictions.labels == predictions.positive
    if is_positive.all() or not is_positive.any():
        return Threshold(rule, why="no validation images of a class")
    score = predictions.probabilities[:, predictions.positive].astype(np.float64)
    # Of each distinct probability, descending, from which on images are positive; the first is above all of them.
    false_alarms, sensitivity, scores = roc_curve(is_positive, score, drop_intermediate=False)
    i = _best(false_alarms, sensitivity, threshold, float(is_positive.mean()))
    if i in (0, len(scores) - 1):
        return Threshold(rule, why=f"on validation images it is met only by calling {'all' if i else 'none'} positive")
    middle = float((scores[i] + scores[i + 1]) / 2)
    return Threshold(rule, middle if middle > scores[i + 1] else float(scores[i]))


def _best(
    false_alarms: NDArray[np.float64], sensitivity: NDArray[np.float64], threshold: ThresholdConfig, share: float
) -> int:
    """Which of the points of a ROC curve, from the highest threshold on, the rule takes."""
    if threshold.sensitivity is not None:
        return int(np.argmax(sensitivity >= threshold.sensitivity - _ROUNDING))
    if threshold.specificity is not None:
        reached = np.flatnonzero(1 - false_alarms >= threshold.specificity - _ROUNDING)
        # The lowest such threshold finds most; one as high as none of its sensitivity is lost makes fewer false alarms.
        return int(np.argmax(sensitivity == sensitivity[reached[-1]]))
    if threshold.cost is None:
        return int(np.argmax(sensitivity - false_alarms))
    positive = share if threshold.prevalence is None else threshold.prevalence
    cost = threshold.cost * positive * (1 - sensitivity) + (1 - positive) * false_alarms
    return int(np.argmin(cost))
