"""The folds of a cross-validation as one result: every image judged once, by a net that has not seen its patient."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.evaluation.bootstrap import LEVEL, Interval, bootstrap_intervals
from medcls.evaluation.scores import scores


@dataclass(frozen=True)
class Pooled:
    """Metrics over the validation images of all folds.

    ``intervals``: each metric on all images pooled, its interval over patients where these are known, else over
    images; ``per_fold``: each metric on the images of each fold alone; ``n_groups``: number of patients, 0 where
    unknown. The interval is about other patients, not about other nets: it lacks the spread of training anew.
    The pooled AUROC also compares images that different nets judged: nets that are scaled differently lower it, and
    then it lies below the mean of the folds (Airola et al., 2011, doi 10.1016/j.csda.2010.11.023).
    """

    intervals: dict[str, Interval]
    per_fold: dict[str, list[float]]
    n_images: int
    n_groups: int

    def mean(self, metric: str) -> float:
        """Mean of a metric over the folds."""
        return float(np.mean(self.per_fold[metric]))


@dataclass(frozen=True)
class FoldResult:
    """What the run of one fold says of its validation images: names, labels (N,), probabilities (N, C), patients."""

    names: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    groups: list[str]
    classes: list[str]
    positive: int


def pool_runs(folders: Sequence[Path], *, level: float = LEVEL) -> Pooled:
    """Pooled metrics of the finished runs of the folds of one cross-validation.

    Raises UserError for a folder without the files of a finished run, runs of other classes than the first, an image
    in two of them, or a patient in two of them.
    """
    folds = [read_fold(folder) for folder in folders]
    check_folds(folders, folds)
    labels = np.concatenate([fold.labels for fold in folds])
    probabilities = np.concatenate([fold.probabilities for fold in folds])
    groups = [group for fold in folds for group in fold.groups]
    positive = folds[0].positive
    each = [scores(fold.labels, fold.probabilities, positive) for fold in folds]
    return Pooled(
        bootstrap_intervals(labels, probabilities, positive, groups=groups, level=level),
        {name: [of_fold[name] for of_fold in each] for name in each[0]},
        len(labels),
        len(set(groups) - {""}),
    )


def read_fold(folder: Path) -> FoldResult:
    """Validation rows of a run's predictions.csv. Raises UserError where the run is not finished or damaged."""
    try:
        metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        classes = list(metrics["classes"])
        positive = len(classes) - 1 if metrics["positive"] is None else classes.index(metrics["positive"])
        with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
        return FoldResult(
            [row["sample"] for row in rows],
            np.array([classes.index(row["label"]) for row in rows]),
            np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows]),
            [row.get("group") or "" for row in rows],
            classes,
            positive,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: not the folder of a finished run ({type(error).__name__}: {error}).\n"
            "  Finish the run, or leave it out."
        ) from error


def check_folds(folders: Sequence[Path], folds: Sequence[FoldResult]) -> None:
    """Raise UserError unless these are different folds of one data set."""
    if len(folds) < 2:
        raise UserError(f"found {len(folds)} folders of runs, expected one for each of two or more folds.")
    fold_of_image: dict[str, Path] = {}
    fold_of_patient: dict[str, Path] = {}
    for folder, fold in zip(folders, folds, strict=True):
        if (fold.classes, fold.positive) != (folds[0].classes, folds[0].positive):
            raise UserError(
                f"{folder}: found classes {', '.join(fold.classes)}, expected those of {folders[0]}: "
                f"{', '.join(folds[0].classes)}."
            )
        for what, names, known in (("image", fold.names, fold_of_image), ("patient", fold.groups, fold_of_patient)):
            for name in set(names) - {""}:
                if name in known:
                    raise UserError(
                        f"{folder}: the {what} {name} is also in {known[name]}, so that these are no folds of one "
                        "cross-validation.\n  Pool runs that differ in data.split.fold alone."
                    )
            known.update(dict.fromkeys(names, folder))
