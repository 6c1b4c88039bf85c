"""The runs that count as one: a seed of a variant, with all folds where it was cross-validated."""

from dataclasses import dataclass
from itertools import groupby

from medcls.evaluation.pooled import pool
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run
from medcls.sweep_report.design import Sweep


@dataclass(frozen=True)
class Trial:
    """One seed of a variant: its run or, where ``folds`` is a number, the runs of so many folds, as far as they exist.

    Folds are not replications to compare or to take a deviation over: each judges other images, and their nets share
    most of their training images.
    """

    variant: str
    seed: int
    runs: tuple[Run, ...]
    folds: int | None

    @property
    def missing(self) -> list[int]:
        """Folds that no run has finished."""
        return sorted(set(range(self.folds or 0)) - {run.fold.number for run in self.done if run.fold})

    @property
    def done(self) -> list[Run]:
        """Finished runs, by fold."""
        return [run for run in self.runs if run.done]

    @property
    def complete(self) -> bool:
        """Whether all its runs are finished."""
        return bool(self.done) and not self.missing

    def predictions(self, split: str) -> Predictions:
        """Predictions of its net on a split or, cross-validated, of its nets on all validation images, pooled.

        Raises ValueError where the folds are not those of one cross-validation.
        """
        if self.folds is None:
            return self.done[0].predictions[split]
        return pool([run.predictions[split] for run in self.done])


def trials(sweep: Sweep, variant: str) -> list[Trial]:
    """The trials of a variant, by seed."""
    found = []
    for seed, of_seed in groupby((run for run in sweep.runs if run.variant == variant), key=lambda run: run.seed):
        runs = tuple(of_seed)
        folds = max((run.fold.of for run in runs if run.fold), default=None) if sweep.cross_validated else None
        found.append(Trial(variant, seed, runs, folds))
    return found
