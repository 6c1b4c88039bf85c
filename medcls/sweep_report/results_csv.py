"""results.csv: one row per run."""

import math
from collections.abc import Sequence
from typing import Any

from medcls.errors import UserError
from medcls.runs.folder import write_table
from medcls.runs.history import COLUMNS, Row
from medcls.runs.run import Run, value_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.knobs import show_value
from medcls.sweep_report.over_seeds import reported
from medcls.sweep_report.own_columns import OwnColumn


def write_results(sweep: Sweep, own: Sequence[OwnColumn] = ()) -> None:
    """Write one row per run, by variant and seed; what a run does not have is left empty.

    Re-running the sweep reproduces everything but the seconds.
    Raises UserError for a column of the user's own that is named like one of the others.
    """
    write_table(sweep.folder / "results.csv", result_rows(sweep, own))


def result_rows(sweep: Sweep, own: Sequence[OwnColumn] = ()) -> list[dict[str, Any]]:
    """One row per run, in the order of ``sweep.runs``; "" where a run has no value."""
    return [_row(sweep, run) | _own(sweep, run, own) for run in sweep.runs]


def _own(sweep: Sweep, run: Run, own: Sequence[OwnColumn]) -> dict[str, Any]:
    if taken := {column.name for column in own} & set(_row(sweep, run)):
        name = sorted(taken)[0]
        raise UserError(
            f"columns: results.csv already has a column {name}. Give yours another name: "
            f"{{_target_: ..., name: my_{name}}}"
        )
    return {column.name: _cell(column.values.get(run.name)) for column in own}


def _row(sweep: Sweep, run: Run) -> dict[str, Any]:
    metrics, names = run.metrics, reported(sweep)
    of_training = [name for name, column in COLUMNS.items() if column.split == "training"]
    row: dict[str, Any] = {"variant": run.variant, "seed": run.seed, "fold": run.fold.number if run.fold else ""}
    row |= {key: show_value(run.values[key]) if key in run.values else "" for key in sweep.keys if key != "seed"}
    row |= {"state": run.state, "epochs": len(run.history), "parameters": metrics.get("parameters", "")}
    row["seconds"] = metrics.get("seconds", "")
    for part in ("best", "last"):
        scored = metrics.get(part, {})
        epoch = scored.get("epoch")
        of_epoch: Row = next((one for one in run.history if one["epoch"] == epoch), {})
        row[f"{part}_epoch"] = "" if epoch is None else int(epoch)
        row |= {f"{part}_{key}": _cell(of_epoch.get(key)) for key in of_training}
        row |= {f"{part}_val_{key}": _cell(value_of(scored.get("val"), key)) for key in names}
    test = metrics.get("test")
    row["test_n"] = test.get("n", "") if test else ""
    row |= {f"test_{key}": _cell(value_of(test, key)) for key in names}
    return row | {"notice": metrics.get("notice") or "", "run": run.name}


def _cell(value: float | str | None) -> float | str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value
