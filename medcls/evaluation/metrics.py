"""The metrics, a record each: whatever lists, computes, resamples, compares or shows metrics reads it here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from medcls.evaluation import formulas, resampled
from medcls.evaluation.influence import Measured, measure_accuracy, measure_auroc
from medcls.evaluation.resampled import Float, Resamples
from medcls.runs.predictions import Predictions

Formula = Callable[[NDArray[Any], NDArray[Any], int], float]


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are; the closing table, metrics.json and pooled.csv have every one.

    name: its key in files; title: as shown. formula: of labels (N,), probabilities (N, C) and the positive class.
    resampled: its fast form; without one each resample costs a formula. influence: has it, and only then, compared
    between variants; test: name of that comparison for single runs. in_report: a column of the report of a sweep;
    in_hparams: a column of TensorBoard's HPARAMS. names_positive: the closing table names the positive class with it.
    """

    name: str
    title: str
    formula: Formula
    resampled: Callable[[Resamples], Float] | None = None
    influence: Callable[[Predictions], Measured] | None = None
    test: str = "normal approximation"
    in_report: bool = False
    in_hparams: bool = False
    names_positive: bool = False


_RECORDS = (
    Metric(
        "accuracy",
        "accuracy",
        formulas.accuracy,
        resampled.accuracy,
        influence=measure_accuracy,
        in_report=True,
        in_hparams=True,
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        formulas.balanced_accuracy,
        resampled.balanced_accuracy,
        in_hparams=True,
    ),
    Metric(
        "auroc",
        "AUROC",
        formulas.auroc,
        resampled.auroc,
        influence=measure_auroc,
        test="DeLong",
        in_report=True,
        in_hparams=True,
    ),
    Metric("sensitivity", "sensitivity", formulas.sensitivity, resampled.sensitivity, names_positive=True),
    Metric("specificity", "specificity", formulas.specificity, resampled.specificity),
    Metric("f1", "F1", formulas.f1, resampled.f1),
)
# By name, in the order of tables.
METRICS = {metric.name: metric for metric in _RECORDS}
# Compared between variants: AUROC, which needs no threshold, before accuracy.
COMPARED = tuple(metric for metric in reversed(_RECORDS) if metric.influence)


def title_of(name: str) -> str:
    """Title of a metric by name, also of one of the user's own, of which only a run's files are at hand."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def own_in(scored: Mapping[str, Any]) -> list[str]:
    """Names of the user's own metrics in a part of metrics.json, where each has its interval."""
    return [name for name, value in scored.items() if name not in METRICS and isinstance(value, Mapping)]


def scores(
    labels: NDArray[Any], probabilities: NDArray[Any], positive: int, metrics: Sequence[Metric] = _RECORDS
) -> dict[str, float]:
    """Every metric by name; NaN where the images leave it undefined.

    labels: (N,) integers in [0, C); probabilities: (N, C), as in ``medcls.evaluation.formulas``. Two classes: AUROC,
    sensitivity, specificity and F1 are of class ``positive``. More: ``positive`` is ignored and they are means over
    the classes, each against the rest.
    Raises ValueError on shapes that do not fit, no images, labels out of range, or probabilities that are not finite.
    """
    formulas.check_predictions(labels, probabilities)
    return {metric.name: metric.formula(labels, probabilities, positive) for metric in metrics}
