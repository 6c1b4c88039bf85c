"""The figures of each variant over its seeds, and how far the best epoch flatters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np

from medcls.report.sweep.design import Sweep
from medcls.report.sweep.trials import trials
from medcls.runs.run import Run, figure

FIGURES = ("loss", "accuracy", "auroc")


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (divisor n - 1); NaN where undefined, so the deviation of one value."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class VariantSummary:
    """A variant's figures over its seeds, of which folds are averaged first. n_done, n_planned: numbers of runs.

    best, last: by FIGURES, on validation images; test: as them, or empty.
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


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    defined = [value for value in values if math.isfinite(value)]
    mean = float(np.mean(defined)) if defined else math.nan
    sd = float(np.std(defined, ddof=1)) if len(defined) > 1 else math.nan
    return Spread(mean, sd, len(defined))


def summarise(sweep: Sweep) -> list[VariantSummary]:
    """One summary per variant, in the order of the sweep."""
    return [_summarise(sweep, name) for name in sweep.variants]


def _summarise(sweep: Sweep, name: str) -> VariantSummary:
    runs = sweep.done(name)
    by_seed = [trial.done for trial in trials(sweep, name)]

    def over_seeds(read: Callable[[Run], float]) -> Spread:
        return spread([spread([read(run) for run in of_seed]).mean for of_seed in by_seed])

    def scored(*path: str) -> dict[str, Spread]:
        return {key: over_seeds(partial(_scored, path=path, key=key)) for key in FIGURES}

    parameters = [run.metrics.get("parameters") for run in runs]
    return VariantSummary(
        name=name,
        n_done=len(runs),
        n_planned=sum(run.variant == name for run in sweep.runs),
        best=scored("best", "val"),
        last=scored("last", "val"),
        test=scored("test") if any(run.metrics.get("test") for run in runs) else {},
        best_epoch=over_seeds(lambda run: float(run.metrics["best"]["epoch"])),
        parameters=parameters[0] if parameters else None,
        seconds=over_seeds(lambda run: float(run.metrics.get("seconds", math.nan))),
    )


def _scored(run: Run, path: Sequence[str], key: str) -> float:
    """A figure of the part of metrics.json that ``path`` leads to."""
    return figure(reduce(lambda part, name: part.get(name) or {}, path, run.metrics), key)


def optimism(sweep: Sweep) -> dict[str, Spread]:
    """Best-epoch validation figure minus test figure, over the finished runs with a test split; empty without any."""
    runs = [run for run in sweep.runs if run.done and run.metrics.get("test")]
    if not runs:
        return {}
    return {
        key: spread([figure(run.metrics["best"]["val"], key) - figure(run.metrics["test"], key) for run in runs])
        for key in FIGURES
    }
