"""A cross-validation in the report: metrics of all folds pooled, beside those of each fold and their mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import COMPARED, METRICS
from medcls.report.sweep.blocks import Block, Note, Section, Table, Text
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.over_seeds import spread
from medcls.report.sweep.trials import Trial, trials
from medcls.runs.folder import write_table
from medcls.runs.predictions import Predictions
from medcls.runs.run import value_of

_NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Validated:
    """A cross-validation: its metrics at the best epoch of each fold's net, where all folds are finished.

    intervals: each metric on the pooled images, its interval over patients where these are known, else over images.
    pooled: None, and ``why`` says so, where there are no pooled metrics.
    """

    trial: Trial
    pooled: Predictions | None
    intervals: dict[str, Interval]
    why: str

    def per_fold(self, metric: str) -> list[float]:
        """The metric on each fold alone, NaN where its run is not finished."""
        known = {run.fold.number: value_of(run.metrics["best"]["val"], metric) for run in self.trial.done if run.fold}
        return [known.get(fold, math.nan) for fold in range(self.trial.folds or 0)]


def cross_validate(sweep: Sweep) -> list[Validated]:
    """Every cross-validation of the sweep, by variant and seed; none where there is none."""
    return [_validate(trial) for name in sweep.variants for trial in trials(sweep, name) if trial.folds]


def _validate(trial: Trial) -> Validated:
    if trial.missing:
        folds = "fold" if len(trial.missing) == 1 else "folds"
        return Validated(trial, None, {}, f"missing: {folds} {', '.join(map(str, trial.missing))} not finished")
    try:
        pooled = trial.predictions("val")
    except ValueError as error:
        return Validated(trial, None, {}, f"none: {error}")
    return Validated(trial, pooled, intervals(pooled), "")


def write_pooled(sweep: Sweep, validated: Sequence[Validated]) -> None:
    """Write pooled.csv, a row per cross-validation; its metrics are empty where a fold is missing."""
    if validated:
        write_table(sweep.folder / "pooled.csv", [_row(one) for one in validated])


def _row(one: Validated) -> dict[str, Any]:
    trial, pooled = one.trial, one.pooled
    row: dict[str, Any] = {"variant": trial.variant, "seed": trial.seed, "folds": trial.folds}
    row["images"] = "" if pooled is None else len(pooled.names)
    row["patients"] = pooled.n_patients or "" if pooled else ""
    for metric in METRICS:
        interval = one.intervals.get(metric, Interval(math.nan, math.nan, math.nan))
        row |= {metric: interval.value, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        row[f"{metric}_mean_of_folds"] = math.nan if trial.missing else spread(one.per_fold(metric)).mean
    return {key: "" if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def cross_validation(sweep: Sweep, validated: Sequence[Validated]) -> Section | None:
    """Pooled metrics and those of the folds, a table per metric."""
    if not validated:
        return None
    blocks: list[Block] = [Text(_what_is_pooled(validated))]
    n_folds = max(one.trial.folds or 0 for one in validated)
    columns = ("variant", "seed", f"pooled [{LEVEL:.0%} interval]", *(f"fold {i}" for i in range(n_folds)), "mean")
    for metric in COMPARED:
        title = f"{metric.title[0].upper()}{metric.title[1:]}:"
        blocks += [Text(title), Table(columns, tuple(_cells(one, metric.name, n_folds) for one in validated))]
    blocks.append(Note(_how_to_read(validated)))
    return Section("Cross-validation", tuple(blocks))


def _cells(one: Validated, metric: str, n_folds: int) -> tuple[str, ...]:
    each = one.per_fold(metric)
    shown = [_NONE if math.isnan(value) else f"{value:.3f}" for value in each]
    padding = [_NONE] * (n_folds - len(each))
    mean = _NONE if one.trial.missing else f"{spread(each).mean:.3f}"
    pooled = one.why
    if interval := one.intervals.get(metric):
        pooled = f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    return one.trial.variant, str(one.trial.seed), pooled, *shown, *padding, mean


def _what_is_pooled(validated: Sequence[Validated]) -> str:
    text = "At the best epoch of each fold's net, on the validation images of all folds: each image is judged once, by"
    counts = {(len(one.pooled.names), one.pooled.n_patients) for one in validated if one.pooled}
    grouped = any(patients for _, patients in counts)
    text += f" the net that was not trained on {'any image of its patient' if grouped else 'it'}."
    if len(counts) == 1:
        (images, patients) = counts.pop()
        text += f" {images} images" + (f" of {patients} patients." if patients else ", no patients known.")
    return text


def _how_to_read(validated: Sequence[Validated]) -> str:
    grouped = any(one.pooled.n_patients for one in validated if one.pooled)
    unit = "patients, resampled with all their images" if grouped else "images"
    text = (
        f"Intervals come from a bootstrap over {unit}: they are about other {'patients' if grouped else 'images'}, not "
        "about retrained nets. Pooled metrics are the ones to quote, and the ones that are compared. A pooled AUROC "
        "lies below the mean of the folds where their nets are scaled differently, since it also compares images of "
        "different folds (Airola et al., 2011)."
    )
    if any(one.why for one in validated):
        text += " Without every fold there are no pooled metrics and nothing to compare: re-run the same command."
    return text
