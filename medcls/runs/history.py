"""One row of numbers per epoch: the record that curves, the best epoch and early stopping all follow from."""

import csv
from pathlib import Path

Row = dict[str, float]
METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_auroc")


def read_history(path: Path) -> list[Row]:
    """Rows of history.csv. Raises OSError, or ValueError for a cell that is not a number."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def best_row(rows: list[Row]) -> Row:
    """The epoch with the lowest validation loss, the first of equals."""
    return min(rows, key=lambda row: row["val_loss"])


def is_over(rows: list[Row], epochs: int, patience: int | None) -> bool:
    """Whether training has reached its last epoch, or ``patience`` epochs brought no lower validation loss."""
    if not rows:
        return False
    waited = rows[-1]["epoch"] - best_row(rows)["epoch"]
    return len(rows) >= epochs or (patience is not None and waited >= patience)
