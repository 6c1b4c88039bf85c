"""Predictions of nets on images that they were not trained on, of all runs together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.predict.nets import Ensemble
from medcls.runs.run import Run
from medcls.sweep_report.changed_images import other_images

Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """N images and the predictions of K nets: probabilities (K, N, C), NaN where an image was not held out for a net.

    splits, patients: of each image, "" where a patient is unknown; nets: a name for each; folded: whether the nets are
    those of several folds, and judge each image by those that have not seen its patient.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    labels: NDArray[np.int64]
    patients: tuple[str, ...]
    probabilities: Array
    nets: tuple[str, ...]
    folded: bool

    @cached_property
    def mean(self) -> Array:
        """Mean (N, C) over the nets that judged each image."""
        return np.asarray(np.nanmean(self.probabilities, axis=0), np.float64)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Images (N,) that are searched for errors: those of the test split, else all."""
        test = np.array([split == "test" for split in self.splits])
        return test if test.any() else ~test


def held_out(ensemble: Ensemble) -> HeldOut:
    """Test and validation images of the nets' runs or, of several folds, what each fold holds out.

    Raises UserError for a net that is not the best of a finished run, and for runs on different data.
    """
    if ensemble.unjudged:
        raise UserError(f"run: {ensemble.unjudged}. Expected finished runs, which keep predictions: run=runs/<run>")
    runs = ensemble.judged_runs
    if why := other_images(runs):
        raise UserError(f"run: {why} Name runs on the same images.")
    folded = len({run.fold for run in runs if run.fold}) > 1
    has_test = all("test" in run.predictions for run in runs)
    order = (["test"] if has_test else ["val"]) if folded else ["test", "val"]
    rows: dict[str, tuple[str, int, str]] = {}  # name -> split, label, patient
    for split in order:
        for run in runs:
            _collect(rows, run, split)
    at = {name: i for i, name in enumerate(rows)}
    probabilities = np.full((len(runs), len(rows), len(ensemble.classes)), np.nan)
    for k, run in enumerate(runs):
        for split in order:
            found = run.predictions.get(split)
            for i, name in enumerate(found.names if found else ()):
                if found and rows[name][0] == split:
                    probabilities[k, at[name]] = found.probabilities[i]
    splits, labels, patients = zip(*rows.values(), strict=True)
    return HeldOut(tuple(rows), splits, np.array(labels), patients, probabilities, _names(runs), folded)


def _collect(rows: dict[str, tuple[str, int, str]], run: Run, split: str) -> None:
    """Note the images of a split that are not known yet. Raises UserError where another run has other labels."""
    found = run.predictions.get(split)
    if found is None:
        return
    for name, label, patient in zip(found.names, found.labels, found.patients, strict=True):
        known = rows.setdefault(name, (split, int(label), patient))
        if known[1] != label:
            raise UserError(
                f"run: {name} has another label in {run.folder} than in the others. Name runs on the same data."
            )


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Seed and fold of each run, or its name where these are not enough."""
    short = [f"seed {run.seed}" + (f", fold {run.fold.number}" if run.fold else "") for run in runs]
    return tuple(short if len(set(short)) == len(short) else [run.name for run in runs])
