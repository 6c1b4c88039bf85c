"""Metrics at each grade with intervals, and how much they differ from those of the unchanged images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medcls.decision.of_run import decision_of, rule_of_run
from medcls.decision.rule import in_words, rule_of
from medcls.decision.threshold import Threshold
from medcls.errors import UserError
from medcls.evaluation.compare import Comparison, adjust, compare_nets
from medcls.evaluation.effects import over_seeds_and_images
from medcls.evaluation.interval import Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS, Metric
from medcls.evaluation.pairing import pair
from medcls.evaluation.pooled import pool
from medcls.predict.nets import Ensemble, Net
from medcls.robustness.edits import CLEAN, UNITS, Grade
from medcls.robustness.judged import ByGrade, Judged
from medcls.runs.predictions import Predictions
from medcls.sweep_report.over_seeds import Spread, spread

AT_THRESHOLD = ("sensitivity", "specificity")


@dataclass(frozen=True)
class Point:
    """A metric at a grade. value: mean over seeds, the interval about other images and, of several, other seeds.

    change: from the unchanged images, by the same nets on the same images, None of these themselves; its interval is
    about other images. of_seeds, change_of_seeds: mean and deviation over seeds.
    """

    grade: Grade
    metric: Metric
    value: Interval
    of_seeds: Spread
    change: Comparison | None
    change_of_seeds: Spread


def threshold_of(net: Net) -> Threshold:
    """What the net's run fixed on its validation images, with no rule the most probable class.

    Raises UserError where a rule was fixed for another net: the best epoch's, or that of the run once it is finished.
    """
    if net.judged_run is not None:
        return decision_of(net.judged_run).threshold
    if net.run is None or not (rule := rule_of(rule_of_run(net.run))):
        return Threshold()
    if "value" in rule:
        return Threshold(rule, float(rule["value"]))
    raise UserError(f"{in_words(rule)}, of {net.run.folder}: {net.unjudged}, so nothing is fixed. Name a finished run.")


def points_of(ensemble: Ensemble, judged: Judged, metric: str) -> list[Point]:
    """``metric``, sensitivity and specificity at all grades, with p-values adjusted for the number of all tests.

    All but AUROC are of the class that each net's own threshold decides for.
    """
    found: list[Point] = []
    for name in (metric, *AT_THRESHOLD):
        of_nets = judged.by_net if name == "auroc" else _decided(ensemble, judged.by_net)
        seeds = _by_seed(ensemble, of_nets, pooled=judged.own)
        found += [_point(METRICS[name], grade, seeds) for grade in seeds[0]]
    adjusted = iter(adjust([point.change for point in found if point.change is not None]))
    return [point if point.change is None else replace(point, change=next(adjusted)) for point in found]


def _decided(ensemble: Ensemble, by_net: Sequence[ByGrade]) -> list[ByGrade]:
    """Predictions whose most probable class is that of the net's threshold."""
    found = []
    for net, by_grade in zip(ensemble.nets, by_net, strict=True):
        threshold, eye = threshold_of(net), np.eye(len(ensemble.classes))
        found.append(
            {
                grade: replace(one, probabilities=eye[threshold.decide(one.probabilities, one.positive)])
                for grade, one in by_grade.items()
            }
        )
    return found


def _by_seed(ensemble: Ensemble, by_net: Sequence[ByGrade], *, pooled: bool) -> list[ByGrade]:
    """Predictions of each seed: of its net or, of a cross-validation's own images, of the nets of its folds."""
    runs = [net.run for net in ensemble.nets]
    if not pooled or len({run.fold for run in runs if run and run.fold}) < 2:
        return list(by_net)
    of_seed: dict[int, list[ByGrade]] = {}
    for run, by_grade in zip(runs, by_net, strict=True):
        of_seed.setdefault(run.seed if run else -1, []).append(by_grade)
    try:
        return [{grade: pool([fold[grade] for fold in folds]) for grade in folds[0]} for folds in of_seed.values()]
    except ValueError as error:
        raise UserError(
            f"run: the nets were validated on other folds, not of one cross-validation: {error}."
        ) from error


def _point(metric: Metric, grade: Grade, seeds: Sequence[ByGrade]) -> Point:
    here, clean = ([seed[of] for seed in seeds] for of in (grade, CLEAN))
    values, before = (_values(metric, of) for of in (here, clean))
    value = over_seeds_and_images(here, metric) if len(here) > 1 else intervals(here[0], [metric])[metric.name]
    change = None
    if grade != CLEAN:
        # As one seed of several nets: they are the same on both sides, so an interval is about images alone.
        change = compare_nets(metric, [clean], [here], pair({0: clean[0]}, {0: here[0]}))
    return Point(
        grade, metric, value, spread(values), change, spread([b - a for a, b in zip(before, values, strict=True)])
    )


def _values(metric: Metric, seeds: Sequence[Predictions]) -> list[float]:
    assert metric.measure is not None
    return [metric.measure(one).value for one in seeds]


def as_rows(points: Sequence[Point]) -> list[Mapping[str, Any]]:
    """Rows of robustness.csv, one for each metric and grade."""
    rows: list[Mapping[str, Any]] = []
    for point in points:
        change = point.change
        rows.append(
            {
                "edit": point.grade.edit,
                "grade": "" if point.grade == CLEAN else f"{point.grade.value:g}",
                "unit": UNITS.get(point.grade.edit, ""),
                "metric": point.metric.name,
                "value": point.value.value,
                "low": point.value.low,
                "high": point.value.high,
                "sd_over_seeds": _known(point.of_seeds.sd),
                "difference": "" if change is None else change.difference,
                "difference_low": "" if change is None else change.low,
                "difference_high": "" if change is None else change.high,
                "difference_sd_over_seeds": "" if change is None else _known(point.change_of_seeds.sd),
                "p": "" if change is None else change.p,
                "p_adjusted": "" if change is None else change.adjusted,
            }
        )
    return rows


def _known(value: float) -> float | str:
    return "" if math.isnan(value) else value
