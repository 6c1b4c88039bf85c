"""Robustness from nets and images to the folder: judged at every grade, measured, drawn, written."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from medcls.atomic import write_json
from medcls.document.blocks import Note, Picture, Section, Table
from medcls.errors import UserError
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.intervals import as_json
from medcls.predict.nets import Ensemble, find_nets
from medcls.predict.shown import new_folder
from medcls.robustness.edits import CLEAN, UNITS, Grade, grades_of
from medcls.robustness.judged import Judged, judge
from medcls.robustness.pictures import by_edit, draw_curves, draw_strip, legend_of
from medcls.robustness.points import Point, as_rows, points_of, threshold_of
from medcls.robustness.schema import ConfigWithRobustness
from medcls.runs.folder import write_table
from medcls.sweep_report.answers import Head
from medcls.sweep_report.over_seeds import show_spread
from medcls.sweep_report.ranking import show_interval
from medcls.sweep_report.render import Page, write_document
from medcls.sweep_report.verdicts import show_p, signed
from medcls.training.device import check_device

log = logging.getLogger(__name__)


def robustness(config: ConfigWithRobustness, keys: Collection[str]) -> Path:
    """Judge the images at every grade and leave the folder; returns the page.

    keys: of the command. Raises UserError for a mistake of the user's, before anything is written.
    """
    check_device(config.trainer)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    grades = grades_of(config.robustness)
    if not grades:
        raise UserError("robustness: no grade of any edit. Expected some, such as robustness.noise=[8,16].")
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    folder = new_folder(config.output, f"robustness_{ensemble.title}")
    judged = judge(config, ensemble, grades, keys, allowed)
    points = points_of(ensemble, judged, config.robustness.metric)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    first = next(iter(judged.by_net[0].values()))
    title = f"{'SIMULATED ' * ensemble.simulated}{ensemble.title}, {len(first.names)} {judged.called}"
    draw_curves(points, title, folder / "pictures/curves.png")
    draw_strip(judged.example, grades, config.seed, title, folder / "pictures/strip.png")
    write_table(folder / "robustness.csv", as_rows(points))
    write_json(folder / "robustness.json", _content(config, ensemble, judged, points))
    return _page(folder, title, ensemble, judged, points)


def _content(
    config: ConfigWithRobustness, ensemble: Ensemble, judged: Judged, points: Sequence[Point]
) -> dict[str, Any]:
    first = judged.by_net[0][CLEAN]
    return {
        "simulated": ensemble.simulated,
        "notices": list(judged.notices),
        "data": first.data,
        "images": judged.called,
        "n": len({name for of_net in judged.by_net for name in of_net[CLEAN].names}),
        "classes": list(ensemble.classes),
        "positive": ensemble.positive,
        "nets": [{"checkpoint": str(net.checkpoint), "threshold": threshold_of(net).value} for net in ensemble.nets],
        "seed": config.seed,
        "units": UNITS,
        "points": [
            {
                "edit": point.grade.edit,
                "grade": None if point.grade == CLEAN else point.grade.value,
                "metric": point.metric.name,
                **as_json(point.value),
                "difference": None if point.change is None else _difference(point),
            }
            for point in points
        ],
    }


def _difference(point: Point) -> dict[str, Any]:
    change = point.change
    assert change is not None
    content = {name: getattr(change, name) for name in ("difference", "low", "high", "p", "adjusted", "method")}
    return content | ({"why": change.why} if change.why else {})


def _page(folder: Path, title: str, ensemble: Ensemble, judged: Judged, points: Sequence[Point]) -> Path:
    several = points[0].of_seeds.n > 1
    about = (
        f"Mean over {points[0].of_seeds.n} seeds; intervals of metrics are about other seeds and images, those of "
        "differences about other images, by these very nets."
        if several
        else "Intervals are about other images, by this very net."
    )
    tests = sum(point.change is not None and point.change.p == point.change.p for point in points)
    how = (
        f"{about} Differences are paired: the same images by the same nets, unchanged and edited. One is shown (*) "
        f"where its p-value, adjusted for all {tests} tests of this page (Holm), is below {1 - LEVEL:.0%}. "
        "Sensitivity and specificity are at the threshold that each run fixed on validation images, unchanged for "
        "all grades. Images are edited as the net takes them: decoded, at its size."
    )
    pictures = (Picture("pictures/curves.png", legend_of(points)), Note(how))
    strip = Picture("pictures/strip.png", "One image at each grade")
    sections = [Section("Curves", pictures), Section("One image at each grade", (strip,))]
    sections += [Section(f"{edit.capitalize()}, {UNITS[edit]}", (_table(of),)) for edit, of in by_edit(points).items()]
    answer = _answer(points, judged.called)
    log.info("%s", answer)
    page = Page(Head(answer, (), (), ""), ensemble.simulated, judged.notices, title, subject="Robustness")
    return write_document(folder, page, sections, "robustness")


def _answer(points: Sequence[Point], called: str) -> str:
    """From which grade on the first metric is shown to be lower, in a sentence."""
    metric = points[0].metric
    of_metric = [point for point in points if point.metric == metric]
    shown: dict[str, Grade] = {}
    for point in of_metric:
        if point.change is not None and point.change.shown and point.change.difference < 0:
            shown.setdefault(point.grade.edit, point.grade)
    clean = f"{metric.title} on the {called} is {show_interval(points[0].value, 2)}"
    unshown = [edit for edit in by_edit(points) if edit not in shown]
    if not shown:
        return f"{clean}; no fall is shown under {', '.join(unshown)}."
    text = f"{clean}; it is shown to fall from {', '.join(grade.title for grade in shown.values())} on"
    return f"{text}; no fall is shown under {', '.join(unshown)}." if unshown else f"{text}."


def _table(points: Sequence[Point]) -> Table:
    """A row for each grade of an edit: every metric, with its difference from the unchanged images."""
    metrics = list(dict.fromkeys(point.metric for point in points))
    several = points[0].of_seeds.n > 1
    columns = ["grade"]
    for metric in metrics:
        columns += [metric.title, *(["over seeds"] if several else []), "difference from clean"]
    columns.append(f"{metrics[0].title}: p, adjusted")
    rows = []
    for grade in dict.fromkeys(point.grade for point in points):
        of_grade = [point for point in points if point.grade == grade]
        row = [grade.title]
        for point in of_grade:
            row += [show_interval(point.value), *([show_spread(point.of_seeds, 3)] if several else [])]
            row.append(_show_change(point))
        change = of_grade[0].change
        row.append("\N{EN DASH}" if change is None or change.adjusted != change.adjusted else show_p(change.adjusted))
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))


def _show_change(point: Point) -> str:
    """The difference with its interval, marked where it is shown."""
    change = point.change
    if change is None or change.difference != change.difference:
        return "\N{EN DASH}"
    text = signed(change.difference)
    if change.low < change.high:
        text += f" [{signed(change.low)}, {signed(change.high)}]"
    return f"{text} *" if change.shown else text
