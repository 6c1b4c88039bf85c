"""Robustness from nets and images to the folder: judged at every grade, measured, drawn, written."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from medcls.atomic import write_json
from medcls.errors import UserError
from medcls.evaluation.intervals import as_json
from medcls.host.quiet import quiet
from medcls.predict.nets import Ensemble, find_nets
from medcls.predict.new_folder import new_folder, writing_folder
from medcls.robustness.edits import CLEAN, UNITS, grades_of
from medcls.robustness.judged import Judged, judge
from medcls.robustness.page import answer_of, sections_of
from medcls.robustness.pictures import draw_curves, draw_strip
from medcls.robustness.points import Point, as_rows, points_of, threshold_of
from medcls.robustness.schema import ConfigWithRobustness
from medcls.runs.folder import write_table
from medcls.sweep_report.answers import Head
from medcls.sweep_report.render import Page, write_document
from medcls.training.device import use_device

log = logging.getLogger(__name__)


def robustness(config: ConfigWithRobustness, keys: Collection[str]) -> Path:
    """Judge the images at every grade and leave the folder; returns the page.

    keys: of the command. Raises UserError for a mistake of the user's, before anything is written.
    """
    use_device(config.trainer)
    grades = grades_of(config.robustness)
    if not grades:
        raise UserError("robustness: found no grade of any edit, expected some, such as robustness.noise=[8,16].")
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    folder = new_folder(config.output, f"robustness_{ensemble.title}", config.data, ensemble.runs)
    thresholds = [threshold_of(net).value for net in ensemble.nets]
    judged = judge(config, ensemble, grades, keys, allowed)
    points = points_of(ensemble, judged, config.robustness.metric)
    title = f"{'SIMULATED ' * ensemble.simulated}{ensemble.title}, {judged.n} images ({judged.called})"
    answer = answer_of(points, judged)
    page = Page(Head(answer, (), ensemble.doubts, ""), ensemble.simulated, judged.notices, title, subject="Robustness")
    with writing_folder(folder) as hidden:
        (hidden / "pictures").mkdir()
        with quiet(("fontTools",), logging.WARNING):  # which logs every letter
            draw_curves(points, title, hidden / "pictures/curves.png")
        draw_strip(*judged.example, grades, config.seed, title, hidden / "pictures/strip.png")
        write_table(hidden / "robustness.csv", as_rows(points))
        write_json(
            hidden / "robustness.json", {"answer": answer} | _content(config, ensemble, judged, points, thresholds)
        )
        written = write_document(hidden, page, sections_of(points, judged), "robustness")
    log.info("%s", answer)
    return folder / written.name


def _content(
    config: ConfigWithRobustness,
    ensemble: Ensemble,
    judged: Judged,
    points: Sequence[Point],
    thresholds: Sequence[float | None],
) -> dict[str, Any]:
    first = judged.by_net[0][CLEAN]
    return {
        "simulated": ensemble.simulated,
        "notices": list(judged.notices),
        "data": first.data,
        "images": judged.called,
        "n": judged.n,
        "classes": list(ensemble.classes),
        "positive": ensemble.positive,
        "nets": [
            {"checkpoint": str(net.checkpoint), "sha256": net.digest, "threshold": threshold}
            for net, threshold in zip(ensemble.nets, thresholds, strict=True)
        ],
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
