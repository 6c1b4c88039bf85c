"""Subgroups as metrics.json has them, and as tables on a terminal and in a report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from medcls.decision.of_run import decision_of
from medcls.document.blocks import Block, Note, Section, Table, Text
from medcls.evaluation.interval import defined
from medcls.evaluation.intervals import as_json
from medcls.report.closing_table import cell, empty_table, row_name
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, validation_images
from medcls.subgroups.columns import Columns, read_columns, subgroup_columns
from medcls.subgroups.compared import FEWEST, find_subgroups

SHOWN = ("auroc", "sensitivity", "specificity")


def subgroups_of(
    predictions: Predictions, predicted: NDArray[np.int64], further: Mapping[str, Mapping[str, str]]
) -> dict[str, Any] | None:
    """What metrics.json says about subgroups; further: name -> column -> value. None where nothing more is known."""
    return _measured(predictions, predicted, *subgroup_columns(further, predictions.names)) if further else None


def _measured(
    predictions: Predictions, predicted: NDArray[np.int64], columns: Columns, left_out: Mapping[str, str]
) -> dict[str, Any]:
    found = find_subgroups(predictions, columns, predicted)
    return {
        "tests": found.tests,
        "left_out": dict(left_out),
        "fewer_than_ten": {column: count for column, count in found.small.items() if count},
        "found": [
            {"column": one.column, "value": one.value, "n": one.n, "n_patients": one.n_patients}
            | {name: as_json(metric) for name, metric in one.metrics.items()}
            | {"auroc_difference": as_json(one.test.difference), "p_adjusted": one.test.adjusted}
            | {"shown": one.test.shown}
            for one in found.found
        ],
    }


def print_subgroups(metrics: Mapping[str, Any]) -> None:
    """Print AUROC by subgroup and what was shown; metrics: metrics.json of predict."""
    content = metrics.get("subgroups")
    if content is None:
        return
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print("\nSubgroups of the external images:", style="bold")
    if content["found"]:
        table = empty_table("", "images (patients)", "AUROC", "minus the rest", "p")
        for one in content["found"]:
            name = f"{one['column']}: {one['value']}"
            table.add_row(name, _count(one), cell(one["auroc"]), cell(one["auroc_difference"]), _p(one))
        console.print(table)
    for line in _remarks(content):
        console.print(line)
    for line in _verdicts(content):
        console.print(line, style="bold red")


def subgroups_section(run: Run) -> Section | None:
    """Of a finished run's own report: its test images by subgroup, else those of validation; None where unknown."""
    split = "test" if "test" in run.predictions else "val"
    predictions = run.predictions[split]
    columns = read_columns(run.folder, predictions.names)
    if columns is None:
        return None
    predicted = decision_of(run).threshold.decide(predictions.probabilities, predictions.positive)
    content = _measured(predictions, predicted, *columns)
    images = "test images" if split == "test" else validation_images(run.metrics)
    verdicts = list(_verdicts(content))
    blocks: list[Block] = [
        Text(f"On {images}. {' '.join(verdicts or ['No difference between a subgroup and the rest is shown.'])}")
    ]
    if content["found"]:
        titles = [row_name(name, run.metrics["positive"]) for name in SHOWN]
        rows = tuple(
            (
                f"{one['column']}: {one['value']}",
                _count(one),
                *(cell(one[name]) for name in SHOWN),
                cell(one["auroc_difference"]),
                _p(one),
            )
            for one in content["found"]
        )
        blocks.append(Table(("", "images (patients)", *titles, "AUROC minus the rest", "p"), rows))
    blocks.append(Note(" ".join(_remarks(content))))
    return Section("Who is it wrong for? Subgroups", tuple(blocks))


def _count(one: Mapping[str, Any]) -> str:
    return f"{one['n']}" if one["n_patients"] is None else f"{one['n']} ({one['n_patients']})"


def _p(one: Mapping[str, Any]) -> str:
    p = one["p_adjusted"]
    if not defined(p):
        return "no test"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _verdicts(content: Mapping[str, Any]) -> Iterator[str]:
    for one in content["found"]:
        if one["shown"]:
            way = "lower" if one["auroc_difference"]["value"] < 0 else "higher"
            yield f"AUROC is shown to be {way} in {one['column']}: {one['value']} than in all others."


def _remarks(content: Mapping[str, Any]) -> Sequence[str]:
    """How to read the table, and what is not in it."""
    remarks = []
    if content["found"]:
        remarks.append(
            "In brackets: 95% intervals. p: of no difference, adjusted for all "
            f"{content['tests']} tests (Holm). What is not shown may still be there: subgroups are small."
        )
    reasons: dict[str, list[str]] = {}
    for one in content["found"]:
        if why := one["auroc_difference"].get("why"):
            reasons.setdefault(why, []).append(f"{one['column']}: {one['value']}")
    remarks += [f"No test of {', '.join(of)}: {why}." for why, of in reasons.items()]
    small = [f"{count} of {column}" for column, count in content["fewer_than_ten"].items()]
    if small:
        remarks.append(f"Left out, with fewer than {FEWEST} patients (images where unknown): {', '.join(small)}.")
    if content["left_out"]:
        columns = ", ".join(f"{column} ({why})" for column, why in content["left_out"].items())
        remarks.append(f"Columns not used for subgroups: {columns}.")
    return remarks
