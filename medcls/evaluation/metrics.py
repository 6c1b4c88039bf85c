"""The metrics, a record each: whatever lists, computes, compares or shows metrics reads it here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from medcls.evaluation import areas, formulas, resampled, shares
from medcls.evaluation.measured import Measured, Units
from medcls.evaluation.resampled import Float, Resamples
from medcls.runs.predictions import Predictions

Formula = Callable[[NDArray[Any], NDArray[Any], int], float]


class Measure(Protocol):
    """How a metric is measured with what its intervals need, over all classes it counts or over those given."""

    def __call__(
        self, predictions: Predictions, classes: Sequence[int] | None = None, units: Units | None = None
    ) -> Measured: ...


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are; the closing table, metrics.json and pooled.csv have every one.

    name: its key in files; title: as shown. formula: of labels (N,), probabilities (N, C) and the positive class.
    resampled: its form for many resamples at once. measure: the same with influences and intervals; the user's own have
    none, and a bootstrap in its place. alike: correlations (J, J) of nets on the same images, from their ranks
    where none is misplaced. test: name of the comparison of single runs. compared: between variants, by default.
    per_class: shown for each class where there are more than two. in_report: a column of the report of a sweep;
    in_hparams: a column of TensorBoard's HPARAMS. names_positive: the closing table names the positive class with it.
    """

    name: str
    title: str
    formula: Formula
    resampled: Callable[[Resamples], Float] | None = None
    measure: Measure | None = None
    alike: Callable[[Sequence[Predictions]], NDArray[Any]] | None = None
    test: str = "normal approximation"
    compared: bool = False
    per_class: bool = False
    in_report: bool = False
    in_hparams: bool = False
    names_positive: bool = False


_RECORDS = (
    Metric(
        "accuracy",
        "accuracy",
        formulas.accuracy,
        resampled.accuracy,
        shares.measure_accuracy,
        compared=True,
        in_report=True,
        in_hparams=True,
    ),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        formulas.balanced_accuracy,
        resampled.balanced_accuracy,
        shares.measure_balanced_accuracy,
        in_hparams=True,
    ),
    Metric(
        "auroc",
        "AUROC",
        formulas.auroc,
        resampled.auroc,
        areas.measure_auroc,
        areas.ranks_alike,
        "DeLong",
        compared=True,
        per_class=True,
        in_report=True,
        in_hparams=True,
    ),
    Metric(
        "sensitivity",
        "sensitivity",
        formulas.sensitivity,
        resampled.sensitivity,
        shares.measure_sensitivity,
        per_class=True,
        names_positive=True,
    ),
    Metric(
        "specificity",
        "specificity",
        formulas.specificity,
        resampled.specificity,
        shares.measure_specificity,
        per_class=True,
    ),
    Metric("f1", "F1", formulas.f1, resampled.f1, shares.measure_f1, per_class=True),
)
# By name, in the order of tables.
METRICS = {metric.name: metric for metric in _RECORDS}
# Compared between variants: AUROC, which needs no threshold, before accuracy.
COMPARED = tuple(metric for metric in reversed(_RECORDS) if metric.compared)


def title_of(name: str) -> str:
    """Title of a metric by name, also of one of the user's own, of which only a run's files are available."""
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
