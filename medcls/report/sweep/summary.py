"""The figures of each variant over its seeds, and how far the best epoch flatters."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medcls.report.sweep.design import Sweep
from medcls.report.sweep.runs import Run, figure

FIGURES = ("loss", "accuracy", "auroc")


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds (divisor n - 1); NaN where undefined, so the deviation of one seed."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class VariantSummary:
    """A variant's figures over its finished seeds. best, last: by FIGURES, on validation images; test: or empty."""

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

    def over_seeds(read: Callable[[Run], float]) -> Spread:
        return spread([read(run) for run in runs])

    tested = [run for run in runs if run.metrics.get("test")]
    parameters = [run.metrics.get("parameters") for run in runs]
    return VariantSummary(
        name=name,
        n_done=len(runs),
        n_planned=sum(run.variant == name for run in sweep.runs),
        best={key: spread([figure(run.metrics["best"]["val"], key) for run in runs]) for key in FIGURES},
        last={key: spread([figure(run.metrics["last"]["val"], key) for run in runs]) for key in FIGURES},
        test={key: spread([figure(run.metrics["test"], key) for run in tested]) for key in FIGURES} if tested else {},
        best_epoch=over_seeds(lambda run: float(run.metrics["best"]["epoch"])),
        parameters=parameters[0] if parameters else None,
        seconds=over_seeds(lambda run: float(run.metrics.get("seconds", math.nan))),
    )


def optimism(sweep: Sweep) -> dict[str, Spread]:
    """Best-epoch validation figure minus test figure, over the finished runs with a test split; empty without any."""
    runs = [run for run in sweep.runs if run.done and run.metrics.get("test")]
    if not runs:
        return {}
    return {
        key: spread([figure(run.metrics["best"]["val"], key) - figure(run.metrics["test"], key) for run in runs])
        for key in FIGURES
    }
