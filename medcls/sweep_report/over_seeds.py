"""The metrics of each variant over its seeds, and how optimistic those of the best epoch are."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from medcls.evaluation.metrics import METRICS, own_in
from medcls.runs.run import Run, value_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.trials import trials


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (divisor n - 1); NaN where undefined, so the deviation of one value."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class VariantSummary:
    """A variant's metrics over its seeds, of which folds are averaged first. n_done, n_planned: numbers of runs.

    best, last: of the ``reported`` metrics, on validation images; test: the same on test images, or empty.
    """

    name: str
    n_done: int
    n_planned: int
    best: dict[str, Spread]
    last: dict[str, Spread]
    test: dict[str, Spread]
    best_epoch: Spread
    parameters: int | None
    seconds: Spread


def reported(sweep: Sweep) -> list[str]:
    """Names of what the report shows of each epoch: the loss, metrics, and those of the user's own that runs have."""
    own = dict.fromkeys(name for run in sweep.runs if run.done for name in own_in(run.metrics["best"]["val"]))
    return ["loss", *(metric.name for metric in METRICS.values() if metric.in_report), *own]


def over_trials(sweep: Sweep, variant: str, read: Callable[[Run], float]) -> Spread:
    """A number of each run, over the seeds of a variant, folds averaged first."""
    by_seed = [trial.done for trial in trials(sweep, variant)]
    return spread([spread([read(run) for run in of_seed]).mean for of_seed in by_seed])


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    defined = [value for value in values if math.isfinite(value)]
    mean = float(np.mean(defined)) if defined else math.nan
    sd = float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
    return Spread(mean, sd, len(defined))


def show_spread(spread: Spread, digits: int) -> str:
    """Mean and deviation as a cell of a table."""
    if math.isnan(spread.mean):
        return "\N{EN DASH}"
    mean = f"{spread.mean:.{digits}f}"
    return mean if math.isnan(spread.sd) else f"{mean} \N{PLUS-MINUS SIGN} {spread.sd:.{digits}f}"


def summarise(sweep: Sweep) -> list[VariantSummary]:
    """One summary per variant, in the order of the sweep."""
    return [_summarise(sweep, name) for name in sweep.variants]


def _summarise(sweep: Sweep, name: str) -> VariantSummary:
    runs = sweep.done(name)

    def scored(*path: str) -> dict[str, Spread]:
        return {key: over_trials(sweep, name, partial(_scored, path=path, key=key)) for key in reported(sweep)}

    parameters = [run.metrics.get("parameters") for run in runs]
    return VariantSummary(
        name=name,
        n_done=len(runs),
        n_planned=sum(run.variant == name for run in sweep.runs),
        best=scored("best", "val"),
        last=scored("last", "val"),
        test=scored("test") if any(run.metrics.get("test") for run in runs) else {},
        best_epoch=over_trials(sweep, name, lambda run: float(run.metrics["best"]["epoch"])),
        parameters=parameters[0] if parameters else None,
        seconds=over_trials(sweep, name, lambda run: float(run.metrics.get("seconds", math.nan))),
    )


def _scored(run: Run, path: Sequence[str], key: str) -> float:
    """A metric of the part of metrics.json that ``path`` leads to."""
    return value_of(reduce(lambda part, name: part.get(name) or {}, path, run.metrics), key)


def optimism(sweep: Sweep) -> dict[str, Spread]:
    """Best-epoch validation metric minus test metric, over the finished runs with a test split; empty without any."""
    runs = [run for run in sweep.runs if run.done and run.metrics.get("test")]
    if not runs:
        return {}
    return {
        key: spread([value_of(run.metrics["best"]["val"], key) - value_of(run.metrics["test"], key) for run in runs])
        for key in reported(sweep)
    }
