"""What is shown of thresholds and of the quality of probabilities: names for all, tables for a terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from medcls.decision.over_thresholds import SPECIFICITY
from medcls.decision.rule import in_words, on_images
from medcls.evaluation.metrics import title_of
from medcls.report.closing_table import cell, empty_table, row_name
from medcls.runs.reading import read_json
from medcls.runs.run import validation_images

TITLES = {
    "ppv": "PPV",
    "npv": "NPV",
    "sensitivity_at_specificity": f"sensitivity at specificity {SPECIFICITY:g}",
    "average_precision": "average precision",
    "brier": "Brier score",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
}

# Of each picture of ``draw_quality``, what it shows.
ALT = {
    "reliability": "Share of images of the class over its probability, with 95% intervals",
    "precision_recall": "Precision over recall",
    "decision_curve": "Net benefit over thresholds, of the net and of calling all or none positive",
}


def print_at_threshold(file: Path, metrics: Mapping[str, Any]) -> None:
    """Print the metrics at the threshold of a run that has a rule for one; metrics: content of metrics.json."""
    content = read_json(file, dict[str, Any])
    threshold, images = content["threshold"], content["chosen_on"]
    if not threshold["rule"]:
        return
    console = _console()
    console.print()
    if threshold["value"] is None:
        console.print(f"No threshold by {in_words(threshold['rule'])}: {threshold['why']}.", style="bold red")
        return
    fixed = on_images(threshold["rule"], images)
    console.print(f"At a threshold of {threshold['value']:.4g} ({fixed}):", style="bold")
    splits = {"val": validation_images(metrics), "test": "test images"}
    columns = {splits[split]: scored for split, scored in content["at_threshold"].items()}
    _print_columns(console, columns, metrics["positive"])
    if content["prevalence"] is not None:
        source = "threshold.prevalence" if content["prevalence_stated"] else f"as in {images}"
        console.print(_at_prevalence(content["prevalence"], source))
    if "value" not in threshold["rule"]:
        console.print(f"The threshold was chosen on {images}: metrics at it are optimistic there.")


def print_quality(metrics: Mapping[str, Any]) -> None:
    """Print what predict found beyond the metrics, and how images were decided; metrics: its metrics.json."""
    console, how = _console(), metrics["deciding"]
    console.print()
    _print_columns(console, metrics["quality"], metrics["positive"])
    if how["prevalence"] is not None:
        console.print(
            _at_prevalence(
                how["prevalence"], "threshold.prevalence" if how["prevalence_stated"] else "as in validation"
            )
        )
    if how["rule"]:
        fixed = on_images(how["rule"], how["fixed_on"] or "")
        console.print(f"Metrics are at a threshold of {how['threshold']:.4g} ({fixed}).")
    if how["temperature"] is not None:
        console.print(f"Probabilities are at a temperature of {how['temperature']:.4g}.")


def _console() -> Console:
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    return console


def _at_prevalence(prevalence: float, source: str) -> str:
    return f"PPV and NPV are at a prevalence of {prevalence:.4g} ({source})."


def _print_columns(console: Console, columns: Mapping[str, Mapping[str, Any]], positive: str | None) -> None:
    """Print a table of intervals, a row for each that the first column has, and why any has no limits."""
    table = empty_table("", *columns)
    names = list(next(iter(columns.values())))
    for name in names:
        title = TITLES[name] if name in TITLES else row_name(name, positive)
        table.add_row(title, *(cell(scored[name]) for scored in columns.values()))
    console.print(table)
    for line in _without_interval(columns):
        console.print(line)


def _without_interval(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for column, scored in columns.items():
        for name, one in scored.items():
            if one.get("why"):
                reasons.setdefault(f"{one['why']} ({column})", []).append(TITLES.get(name) or title_of(name))
    for why, titles in reasons.items():
        yield f"No interval of {', '.join(titles)}: {why}."
