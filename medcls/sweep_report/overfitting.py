"""Whether and from when the runs of a variant overfit, and how soon they learn, read from their histories."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.runs.history import Row, column
from medcls.runs.run import Run
from medcls.sweep_report.design import Sweep


@dataclass(frozen=True)
class Epochs:
    """An epoch per run, None where it was not reached; ``trained``: the most epochs that any run trained."""

    found: tuple[int | None, ...]
    trained: int

    @property
    def median(self) -> float:
        """Median over the runs; inf where that is a run that did not get there."""
        return float(np.median([math.inf if epoch is None else epoch for epoch in self.found]))


def values_of(history: Sequence[Row], name: str) -> NDArray[np.float64]:
    """A column of the history, (E,); NaN in a row that does not have it."""
    return np.array([row.get(name, math.nan) for row in history])


def loss_gap(run: Run, epoch: int) -> float:
    """Validation minus training loss at ``epoch``."""
    row = next(row for row in run.history if row["epoch"] == epoch)
    return row["val_loss"] - row["train_loss"]


def rises_from(run: Run) -> int | None:
    """Epoch from which the validation loss rises: the minimum of its moving mean; None where it does not rise.

    The mean is taken over a twentieth of the epochs, at least five. A rise counts when the mean of the last epochs is
    above that minimum by more than twice the standard deviation with which the loss scatters about the moving mean.
    """
    loss = values_of(run.history, "val_loss")
    window = max(5, len(loss) // 20 | 1)
    smooth = moving_mean(loss, window // 2)
    lowest = int(smooth.argmin())
    end = loss[-max(1, min(window, len(loss) // 4)) :].mean()
    rises = lowest < len(loss) - 1 and end - smooth[lowest] > max(2 * float(np.std(loss - smooth)), 1e-12)
    return int(run.history[lowest]["epoch"]) if rises else None


def moving_mean(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Mean (E,) over ``reach`` neighbors on either side, fewer on both sides alike towards the ends."""
    sides = [min(reach, i, len(values) - 1 - i) for i in range(len(values))]
    return np.array([values[i - side : i + side + 1].mean() for i, side in enumerate(sides)])


def epochs_until_rise(runs: Sequence[Run]) -> Epochs:
    """The epoch of ``rises_from`` of each run."""
    return Epochs(tuple(rises_from(run) for run in runs), max((len(run.history) for run in runs), default=0))


def target_value(sweep: Sweep, target: Mapping[str, Any]) -> float:
    """What a target asks for; that of another variant is the mean of its runs' last epochs, NaN without any."""
    if "final_of" not in target:
        return float(target["value"])
    finals = [run.history[-1].get(target["metric"], math.nan) for run in sweep.done(target["final_of"])]
    return float(np.mean(finals)) if finals else math.nan


def epochs_until(runs: Sequence[Run], metric: str, value: float) -> Epochs:
    """First epoch at which each run has a loss of at most ``value``, or an accuracy or AUROC of at least that."""
    found = []
    for run in runs:
        values = values_of(run.history, metric)
        reached = values <= value if column(metric).lower_is_better else values >= value
        found.append(int(run.history[int(reached.argmax())]["epoch"]) if reached.any() else None)
    return Epochs(tuple(found), max((len(run.history) for run in runs), default=0))
