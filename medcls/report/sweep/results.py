"""results.csv: one row per run."""

import math
from typing import Any

from medcls.report.sweep.design import Sweep
from medcls.report.sweep.knobs import show_value
from medcls.report.sweep.summary import FIGURES
from medcls.runs.folder import write_table
from medcls.runs.history import Row
from medcls.runs.run import Run, figure


def write_results(sweep: Sweep) -> None:
    """Write one row per run, by variant and seed; what a run does not have is left empty.

    Everything but the seconds is the same again when the sweep is.
    """
    write_table(sweep.folder / "results.csv", result_rows(sweep))


def result_rows(sweep: Sweep) -> list[dict[str, Any]]:
    """One row per run, in the order of ``sweep.runs``; "" where a run has nothing to say."""
    return [_row(sweep, run) for run in sweep.runs]


def _row(sweep: Sweep, run: Run) -> dict[str, Any]:
    metrics = run.metrics
    row: dict[str, Any] = {"variant": run.variant, "seed": run.seed, "fold": run.fold.number if run.fold else ""}
    row |= {key: show_value(run.values[key]) if key in run.values else "" for key in sweep.keys if key != "seed"}
    row |= {"state": run.state, "epochs": len(run.history), "parameters": metrics.get("parameters", "")}
    row["seconds"] = metrics.get("seconds", "")
    for part in ("best", "last"):
        scored = metrics.get(part, {})
        epoch = scored.get("epoch")
        of_epoch: Row = next((one for one in run.history if one["epoch"] == epoch), {})
        row[f"{part}_epoch"] = "" if epoch is None else int(epoch)
        row |= {f"{part}_{key}": _cell(of_epoch.get(key)) for key in ("train_loss", "train_accuracy")}
        row |= {f"{part}_val_{key}": _cell(figure(scored.get("val"), key)) for key in FIGURES}
    test = metrics.get("test")
    row["test_n"] = test.get("n", "") if test else ""
    row |= {f"test_{key}": _cell(figure(test, key)) for key in FIGURES}
    return row | {"notice": metrics.get("notice") or "", "run": run.name}


def _cell(value: float | None) -> float | str:
    return "" if value is None or math.isnan(value) else value
