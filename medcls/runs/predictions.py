"""A net's predictions for images, as everything that evaluates or compares nets takes them, and predictions.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.runs.folder import write_table
from medcls.runs.reading import read_rows


@dataclass(frozen=True)
class Predictions:
    """A net's predictions for images: their names, labels (N,) in [0, C), probabilities (N, C) in [0, 1].

    data: name of the data set; images of the same name in different data sets are different images.
    positive: class that AUROC refers to where there are two classes.
    groups: patient of each image, "" where unknown; none at all where no patient is known.
    """

    data: str
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]
    positive: int
    groups: tuple[str, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each image, "" where unknown."""
        return self.groups or ("",) * len(self.names)

    @property
    def n_patients(self) -> int:
        """Number of known patients."""
        return len(set(self.groups) - {""})

    def select(self, names: Sequence[str]) -> "Predictions":
        """The predictions of ``names`` alone, in their order. Raises KeyError for a name that is absent."""
        at = {name: i for i, name in enumerate(self.names)}
        rows = [at[name] for name in names]
        return replace(
            self,
            names=tuple(names),
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            groups=tuple(self.groups[row] for row in rows) if self.groups else (),
        )


def positive_index(classes: Sequence[str], positive: str | None) -> int:
    """Index of the positive class; the last where there are more than two, of which none is positive."""
    return len(classes) - 1 if positive is None else list(classes).index(positive)


def write_predictions(path: Path, classes: Sequence[str], by_split: Mapping[str, Predictions]) -> None:
    """Write predictions.csv."""
    write_table(path, prediction_rows(classes, by_split))


def prediction_rows(classes: Sequence[str], by_split: Mapping[str, Predictions]) -> list[dict[str, Any]]:
    """Rows of predictions.csv, one per image: a column p_<class> for each class, and group where patients are known."""
    grouped = any(any(found.groups) for found in by_split.values())
    return [
        {"sample": name, "split": split, "label": classes[label]}
        | ({"group": group} if grouped else {})
        | {f"p_{of}": float(value) for of, value in zip(classes, row, strict=True)}
        for split, found in by_split.items()
        for name, group, label, row in zip(found.names, found.patients, found.labels, found.probabilities, strict=True)
    ]


def read_predictions(path: Path, metrics: Mapping[str, Any]) -> dict[str, Predictions]:
    """Content of predictions.csv by split, "val" and perhaps "test".

    Raises OSError, or ValueError or KeyError for what no run has written.
    """
    classes = list(metrics["classes"])
    positive = positive_index(classes, metrics["positive"])
    index = {name: i for i, name in enumerate(classes)}
    rows = read_rows(path, {"sample", "split", "label", *(f"p_{name}" for name in classes)})
    check_rows(rows, classes)
    found = {}
    for split in dict.fromkeys(row["split"] for row in rows):
        of_split = [row for row in rows if row["split"] == split]
        found[split] = Predictions(
            data=str(metrics["data"]),
            names=tuple(row["sample"] for row in of_split),
            labels=np.array([index[row["label"]] for row in of_split]),
            probabilities=np.array([[float(row[f"p_{name}"]) for name in classes] for row in of_split]),
            positive=positive,
            groups=tuple(row["group"] or "" for row in of_split) if "group" in of_split[0] else (),
        )
    return found


def check_rows(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Raise ValueError for rows of predictions.csv that no run has written."""
    if not any(row["split"] == "val" for row in rows):
        raise ValueError("predictions.csv has no validation images")
    for line, row in enumerate(rows, start=2):
        if row["split"] not in ("val", "test") or row["label"] not in classes:
            raise ValueError(f"predictions.csv, line {line}: split {row['split']!r}, label {row['label']!r}")
        if wrong := [row[f"p_{name}"] for name in classes if not 0 <= float(row[f"p_{name}"]) <= 1]:
            raise ValueError(f"predictions.csv, line {line}: probability {wrong[0]}, expected 0 to 1")
    if len({(row["split"], row["sample"]) for row in rows}) < len(rows):
        raise ValueError("predictions.csv lists an image twice")
