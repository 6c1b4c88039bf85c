"""Intervals of the metrics of one net: about other images, or patients where known, drawn like these.

The number of images in each class counts as random too, as it would be in a new sample. So the interval of accuracy is
that of a share of all images, not the narrower one of fixed class sizes.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.bootstrap import bootstrap_interval
from medcls.evaluation.formulas import check_predictions
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.measured import Units
from medcls.evaluation.metrics import METRICS, Metric
from medcls.runs.predictions import Predictions


def intervals(
    predictions: Predictions,
    metrics: Sequence[Metric] = tuple(METRICS.values()),
    level: float = LEVEL,
    predicted: NDArray[np.int64] | None = None,
) -> dict[str, Interval]:
    """Every metric by name with its interval, from predictions of images or of the folds of a cross-validation.

    predicted: the class (N,) that each image is taken for, where that is not the most probable one; metrics of the
    user's own do not get it.
    Limits are NaN, and ``why`` says so, where no method holds; never of zero width. docs/statistics.md has the methods,
    and how often they cover. Raises ValueError as ``scores`` does, UserError where a metric of the user's own fails.
    """
    check_predictions(predictions.labels, predictions.probabilities)
    units = Units.of(predictions, predicted)
    return {metric.name: _interval(metric, predictions, units, level) for metric in metrics}


def _interval(metric: Metric, predictions: Predictions, units: Units, level: float) -> Interval:
    if metric.measure is None:
        return bootstrap_interval(metric.formula, predictions, level)
    measured = metric.measure(predictions, units=units)
    return Interval(measured.value, *measured.limits(level), measured.why)


def class_table(predictions: Predictions, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Each class by name with its numbers of images and patients (None where unknown), as metrics.json has them.

    More than two classes: also the metrics of each against the rest, with their intervals.
    """
    rows, units, patients = [], Units.of(predictions), predictions.patients
    for k, name in enumerate(classes):
        of_class = predictions.labels == k
        known = {patients[i] for i in np.flatnonzero(of_class)} - {""}
        n_patients = len(known) if any(predictions.groups) else None
        row: dict[str, Any] = {"class": name, "images": int(of_class.sum()), "patients": n_patients}
        for metric in METRICS.values() if len(classes) > 2 else ():
            if metric.per_class and metric.measure is not None:
                measured = metric.measure(predictions, [k], units)
                row[metric.name] = as_json(Interval(measured.value, *measured.limits(LEVEL), measured.why))
        rows.append(row)
    return rows


def as_json(interval: Interval) -> dict[str, Any]:
    """An interval as metrics.json has it: without a reason where it has limits."""
    content = asdict(interval)
    if np.isfinite(interval.low):
        del content["why"]
    return content
