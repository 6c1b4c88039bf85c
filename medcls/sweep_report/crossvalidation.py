"""A cross-validation in the report: metrics averaged within folds, beside those of each fold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medcls.document.blocks import Block, Note, Section, Table, Text
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import COMPARED, METRICS
from medcls.runs.folder import write_table
from medcls.runs.predictions import Predictions
from medcls.runs.run import value_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.over_seeds import spread
from medcls.sweep_report.trials import Trial, trials

_NONE = "\N{EN DASH}"
CHOSEN = "chosen in each fold"  # in the place of a variant


@dataclass(frozen=True)
class Validated:
    """A cross-validation: its metrics at the best epoch of each fold's net, where all folds are finished.

    split: "test" where the epoch was chosen on other images than those of the fold, else "val". intervals: each metric
    measured within folds and averaged, its interval about other patients where these are known, else about other
    images. pooled: the predictions of all folds; None, and ``why`` says so, where some are missing.
    """

    trial: Trial
    split: str
    pooled: Predictions | None
    intervals: dict[str, Interval]
    why: str

    def per_fold(self, metric: str) -> list[float]:
        """The metric on each fold alone, NaN where its run is not finished."""
        known = {}
        for run in self.trial.done:
            judged = run.metrics["test"] if self.split == "test" else run.metrics["best"]["val"]
            known[run.fold.number if run.fold else 0] = value_of(judged, metric)
        return [known.get(fold, math.nan) for fold in range(self.trial.folds or 0)]


def cross_validate(sweep: Sweep, split: str) -> list[Validated]:
    """Every cross-validation of the sweep, by variant and seed, then those of ``choose_in_folds``.

    split: whose images are judged, "test" or "val".
    """
    found = [trial for name in sweep.variants for trial in trials(sweep, name) if trial.folds]
    nested = choose_in_folds(found, sweep.metric) if split == "test" else []
    return [_validate(trial, split) for trial in (*found, *nested)]


def choose_in_folds(found: Sequence[Trial], metric: str) -> list[Trial]:
    """The choice of the best variant repeated in each fold, on its inner validation images: a trial for each seed.

    The best is that of the highest mean over the seeds that all variants have. None where there is no choice, or a fold
    is missing: the fold that judges had no part in the choice, so that these trials estimate the procedure.
    """
    by_variant: dict[str, dict[int, Trial]] = {}
    for trial in found:
        by_variant.setdefault(trial.variant, {})[trial.seed] = trial
    seeds = sorted(set.intersection(*(set(of) for of in by_variant.values()))) if by_variant else []
    if len(by_variant) < 2 or any(trial.missing for trial in found) or len({trial.folds for trial in found}) > 1:
        return []

    def inner(name: str, fold: int) -> float:
        values = [value_of(by_variant[name][seed].done[fold].metrics["best"]["val"], metric) for seed in seeds]
        return -math.inf if any(map(math.isnan, values)) else sum(values)

    folds = found[0].folds or 0
    chosen = [max(by_variant, key=lambda name: inner(name, fold)) for fold in range(folds)]
    runs = {seed: tuple(by_variant[name][seed].done[i] for i, name in enumerate(chosen)) for seed in seeds}
    return [Trial(CHOSEN, seed, runs[seed], folds) for seed in seeds]


def _validate(trial: Trial, split: str) -> Validated:
    if trial.missing:
        folds = "fold" if len(trial.missing) == 1 else "folds"
        return Validated(trial, split, None, {}, f"missing: {folds} {', '.join(map(str, trial.missing))} not finished")
    try:
        pooled = trial.predictions(split)
    except ValueError as error:
        return Validated(trial, split, None, {}, f"none: {error}")
    return Validated(trial, split, pooled, intervals(pooled), "")


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
    """Metrics of all folds and of each, a table per metric."""
    if not validated:
        return None
    blocks: list[Block] = [Text(_what_is_pooled(validated))]
    n_folds = max(one.trial.folds or 0 for one in validated)
    columns = ("variant", "seed", f"within folds [{LEVEL:.0%} interval]", *(f"fold {i}" for i in range(n_folds)))
    for metric in COMPARED:
        title = f"{metric.title[0].upper()}{metric.title[1:]}:"
        blocks += [Text(title), Table(columns, tuple(_cells(one, metric.name, n_folds) for one in validated))]
    blocks.append(Note(_how_to_read(validated)))
    return Section("Cross-validation", tuple(blocks))


def _cells(one: Validated, metric: str, n_folds: int) -> tuple[str, ...]:
    each = one.per_fold(metric)
    shown = [_NONE if math.isnan(value) else f"{value:.3f}" for value in each]
    padding = [_NONE] * (n_folds - len(each))
    within = one.why
    if interval := one.intervals.get(metric):
        limits = interval.why if math.isnan(interval.low) else f"{interval.low:.3f}, {interval.high:.3f}"
        within = f"{interval.value:.3f} [{limits}]"
    return one.trial.variant, str(one.trial.seed), within, *shown, *padding


def _what_is_pooled(validated: Sequence[Validated]) -> str:
    how = "chosen on the images of the fold, which makes metrics optimistic"
    if validated[0].split == "test":
        how = "chosen on validation images of the other folds"
    text = f"At the best epoch of each fold's net, {how}. Each image is judged once, by"
    counts = {(len(one.pooled.names), one.pooled.n_patients) for one in validated if one.pooled}
    grouped = any(patients for _, patients in counts)
    text += f" the net that was not trained on {'any image of its patient' if grouped else 'it'}."
    if len(counts) == 1:
        (images, patients) = counts.pop()
        text += f" {images} images" + (f" of {patients} patients." if patients else ", no patients known.")
    return text


def _how_to_read(validated: Sequence[Validated]) -> str:
    grouped = any(one.pooled.n_patients for one in validated if one.pooled)
    text = (
        "Metrics are measured within each fold and averaged; these means are what to report and what is compared "
        "(LeDell et al., 2015): images of different folds were judged by nets whose outputs may be scaled differently. "
        f"Intervals refer to other {'patients' if grouped else 'images'}, not to retrained nets."
    )
    if nested := [one for one in validated if one.trial.variant == CHOSEN]:
        names = [run.variant for run in nested[0].trial.runs]
        counts = ", ".join(f"{name} in {names.count(name)}" for name in dict.fromkeys(names))
        text += (
            f" {CHOSEN[0].upper()}{CHOSEN[1:]}: the variant with the best metric on the validation images of the other "
            f"folds ({counts} of {len(names)} folds). This estimates the whole procedure, its choice included."
        )
    if any(one.why for one in validated):
        text += " Without every fold there is nothing to report or to compare: re-run the same command."
    return text
