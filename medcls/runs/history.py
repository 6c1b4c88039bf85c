"""One row of numbers per epoch: the record that curves, the best epoch and early stopping all follow from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medcls.runs.folder import write_table
from medcls.runs.reading import read_rows

Row = dict[str, float]
SPLITS = {"train": "training", "val": "validation"}


@dataclass(frozen=True)
class Column:
    """A column of history.csv that measures a net: ``quantity`` on the images of a split.

    name: in files, ``<split>_<key>``; quantity: as shown.
    """

    name: str
    quantity: str

    @property
    def split(self) -> str:
        """The images, in words: training or validation."""
        return SPLITS[self.name.partition("_")[0]]

    @property
    def title(self) -> str:
        return f"{self.split} {self.quantity}"

    @property
    def tag(self) -> str:
        """Of its curve in TensorBoard, ``<key>/<split>``."""
        split, _, key = self.name.partition("_")
        return f"{key}/{split}"

    @property
    def lower_is_better(self) -> bool:
        return self.quantity.endswith("loss")


_RECORDS = (
    Column("train_loss", "loss"),
    Column("train_accuracy", "accuracy"),
    Column("val_loss", "loss"),
    Column("val_accuracy", "accuracy"),
    Column("val_auroc", "AUROC"),
)
# What every run records, by name; metrics of the user's own come after them, as val_<name>.
COLUMNS = {column.name: column for column in _RECORDS}
# quantity -> its columns, training before validation.
QUANTITIES = {
    quantity: tuple(column for column in _RECORDS if column.quantity == quantity)
    for quantity in dict.fromkeys(column.quantity for column in _RECORDS)
}


def column(name: str) -> Column:
    """The record of a column, also of a metric of the user's own. Raises KeyError for one that is of no split."""
    split, _, key = name.partition("_")
    if split not in SPLITS or not key:
        raise KeyError(name)
    return COLUMNS.get(name) or Column(name, key.replace("_", " "))


def read_history(path: Path) -> list[Row]:
    """Rows of history.csv. Raises OSError, or ValueError for what training cannot have written."""
    rows = []
    for epoch, cells in enumerate(read_rows(path, {"epoch", "lr", "seconds", *COLUMNS}), start=1):
        row = {key: float(value) for key, value in cells.items()}
        if row["epoch"] != epoch:
            raise ValueError(f"{path.name}: found epoch {cells['epoch']}, expected {epoch}")
        for name, column in COLUMNS.items():
            if not (column.lower_is_better or math.isnan(row[name]) or 0 <= row[name] <= 1):
                raise ValueError(f"{path.name}: {name} {row[name]} of epoch {epoch}, expected 0 to 1")
        rows.append(row)
    return rows


def write_history(path: Path, rows: Sequence[Row]) -> None:
    """Write history.csv; NaN where an epoch has no such column: trained before a metric was asked for."""
    names = list(dict.fromkeys(name for row in reversed(rows) for name in row))
    write_table(path, [{name: row.get(name, math.nan) for name in names} for row in rows])


def best_row(rows: Sequence[Row]) -> Row:
    """The epoch with the lowest validation loss, the first of equals."""
    return min(rows, key=lambda row: row["val_loss"])


def is_over(rows: Sequence[Row], epochs: int, patience: int | None) -> bool:
    """Whether training has reached its last epoch, or ``patience`` epochs brought no lower validation loss."""
    if not rows:
        return False
    waited = rows[-1]["epoch"] - best_row(rows)["epoch"]
    return len(rows) >= epochs or (patience is not None and waited >= patience)
