"""The table of nets on external images beside that on their own."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import METRICS, own_in, title_of
from medcls.report.closing_table import MOST_CLASSES, cell, empty_table, row_name


def print_side_by_side(metrics: Mapping[str, Any]) -> None:
    """Print the metrics on external images and on the nets' own, with caveats; metrics: of metrics.json."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    columns = {"external": metrics["external"], "internal": metrics["internal"]}
    columns = {name: scored for name, scored in columns.items() if scored is not None}
    console.print()
    nets = "one net" if len(metrics["nets"]) == 1 else f"{len(metrics['nets'])} nets together"
    console.print(f"{nets} on {metrics['data']}", style="bold")
    for name, scored in columns.items():
        patients = "" if scored["n_patients"] is None else f" of {scored['n_patients']} patients"
        console.print(f"{name}: {scored['n']} {scored['images']}{patients}")
    rows = metrics["per_class"]
    if len(rows) <= MOST_CLASSES:
        console.print("external by class: " + ", ".join(f"{row['images']} {row['class']}" for row in rows))
    if metrics["simulated"]:
        text = "SIMULATED: a net was trained on simulated images; these metrics say nothing about patients."
        console.print(text, style="bold white on red")
    if metrics["notice"]:
        console.print(metrics["notice"], style="bold red")
    console.print()
    table = empty_table("", *columns)
    names = [*METRICS, *own_in(metrics["external"])]
    for name in names:
        table.add_row(row_name(name, metrics["positive"]), *(cell(scored[name]) for scored in columns.values()))
    console.print(table)
    console.print(f"\nIn brackets: {LEVEL:.0%} intervals for other images or patients drawn like these.")
    for why, titles in _reasons(columns, names).items():
        console.print(f"No interval of {', '.join(titles)}: {why}.")
    if metrics["internal"] is None:
        console.print(f"No internal metrics: {metrics['no_internal']}.")
    elif "validation" in metrics["internal"]["images"]:
        console.print("Internal metrics are optimistic: the epoch was chosen on these images.")
    if note := unlike_nets(metrics):
        console.print(note)


def unlike_nets(metrics: Mapping[str, Any]) -> str:
    """A sentence on which nets judged which images, where those of folds did; empty where the same nets judged all."""
    own, n = metrics["internal"], len(metrics["nets"])
    if own is None or not own["images"].endswith(" folds"):
        return ""
    return (
        f"External images are judged by the mean of all {n} nets, each of the nets' own images only by those that have "
        "not seen it: this alone may make metrics differ."
    )


def _reasons(columns: Mapping[str, Any], names: list[str]) -> dict[str, list[str]]:
    """Why metrics have no interval, those of one reason together."""
    reasons: dict[str, list[str]] = {}
    for column, scored in columns.items():
        for name in names:
            if why := scored[name].get("why"):
                reasons.setdefault(f"{why} ({column})", []).append(title_of(name))
    return reasons
