"""The table that ends a run on the terminal."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import METRICS, own_in, title_of
from medcls.runs.run import validation_images


def print_closing_table(metrics: Mapping[str, Any], folder: Path) -> None:
    """Print the metrics of metrics.json with their intervals, what they are worth, and where the run lies.

    metrics: the content of metrics.json; "test" may be missing, a value null or NaN.
    """
    # No markup: "[nan, nan]" or a bracket in a class name would be read as a style. Narrower than 80 columns rich cuts
    # numbers off, where the terminal itself only breaks the line.
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print()
    console.print(_header(metrics), style="bold")
    if metrics["simulated"]:
        text = "SIMULATED DATA, drawn by a program: these metrics say nothing about patients."
        console.print(text, style="bold white on red")
    if metrics.get("notice"):
        console.print(metrics["notice"], style="bold red")
    console.print()
    console.print(_table(metrics))
    best = metrics["best"]["epoch"]
    optimistic = f"etrics of epoch {best} are optimistic: it was chosen on these images."
    if metrics.get("test_validates"):
        console.print(
            "\nThere is no validation split: the test images served as one, and no others are left for a test."
        )
        console.print(f"M{optimistic}")
    else:
        console.print(f"\nValidation m{optimistic}")
    if metrics.get("positive_guessed"):
        console.print(f"The positive class is {metrics['positive']}, the last one, since data.positive names none.")
    over = "patients, each with all its images" if metrics.get("n_val_patients") else "images"
    console.print(f"In brackets: {LEVEL:.0%} bootstrap intervals over the {over}{_fewer(metrics['best']['val'])}.")
    if metrics.get("medmnist"):
        official = metrics["medmnist"]
        console.print(f"MedMNIST's own evaluator, test: AUC {official['AUC']:.3f}, ACC {official['ACC']:.3f}.")
    # One line however long, so that it can be copied.
    console.print(f"{folder}", style="bold", soft_wrap=True)


def _header(metrics: Mapping[str, Any]) -> str:
    kind = "2 classes" if len(metrics["classes"]) == 2 else f"{len(metrics['classes'])} classes, macro averages"
    images = validation_images(metrics)
    return f"{metrics['model']} on {metrics['data']}: {metrics['n_val']} {images}, {kind}"


def _table(metrics: Mapping[str, Any]) -> Table:
    columns = {
        f"best epoch {metrics['best']['epoch']}": metrics["best"]["val"],
        f"last epoch {metrics['last']['epoch']}": metrics["last"]["val"],
    }
    if metrics.get("test") is not None:
        columns["test (best epoch)"] = metrics["test"]
    # Three columns of numbers leave 14 of 80 characters to the names, which wrap; the numbers never do.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    table.add_column("")
    for name in columns:
        table.add_column(name, no_wrap=True)
    for name in [*METRICS, *own_in(metrics["best"]["val"])]:
        table.add_row(_row_name(name, metrics["positive"]), *(_cell(scored[name]) for scored in columns.values()))
    table.add_row("loss", *(_number(scored["loss"]) for scored in columns.values()))
    return table


def _row_name(name: str, positive: str | None) -> str:
    named = name in METRICS and METRICS[name].names_positive and positive is not None
    return f"{title_of(name)} ({positive})" if named else title_of(name)


def _fewer(scored: Mapping[str, Any]) -> str:
    """That the intervals of the user's own metrics are of fewer resamples, where there are some."""
    own = own_in(scored)
    resamples = {scored[name]["resamples"] for name in own}
    return f" ({', '.join(map(title_of, own))}: {resamples.pop()} resamples)" if len(resamples) == 1 else ""


def _cell(interval: Mapping[str, float | None]) -> str:
    value, low, high = (_number(interval[key]) for key in ("value", "low", "high"))
    return value if value == "undefined" else f"{value} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else f"{value:.3f}"
