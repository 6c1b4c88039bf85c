"""Curves of metrics over grades, and one image at each grade."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medcls.evaluation.interval import LEVEL
from medcls.preview.contact_sheet import draw_sheet
from medcls.preview.tiles import Tile
from medcls.report.png import line_style, write_picture
from medcls.robustness.edits import CLEAN, UNITS, Grade, Pixels, edited, key_of
from medcls.robustness.points import Point

_COLUMNS = 3
_APART = 0.08  # between the marks of metrics at one grade, in grades


def by_edit(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Points of each edit in the order of its grades, after those of the unchanged images."""
    clean = [point for point in points if point.grade == CLEAN]
    edits = dict.fromkeys(point.grade.edit for point in points if point.grade != CLEAN)
    return {edit: [*clean, *(point for point in points if point.grade.edit == edit)] for edit in edits}


def draw_curves(points: Sequence[Point], title: str, path: Path) -> None:
    """One panel for each edit, one curve for each metric, with intervals."""
    panels = by_edit(points)
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(1 + 3.4 * columns, 1 + 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for panel, (edit, of_edit) in zip(axes, panels.items(), strict=False):
        _draw(panel, edit, of_edit)
    for unused in axes[len(panels) :]:
        unused.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle(title, fontsize=10)
    write_picture(figure, path)


def _draw(panel: Axes, edit: str, points: Sequence[Point]) -> None:
    for i, name in enumerate(dict.fromkeys(point.metric.title for point in points)):
        found = [point for point in points if point.metric.title == name]
        x = [k + _APART * (i - 1) for k in range(len(found))]
        panel.plot(x, [point.value.value for point in found], **line_style(i), marker="o", markersize=3.5, label=name)
        for at, point in zip(x, found, strict=True):
            if point.value.low < point.value.high:
                panel.plot([at, at], [point.value.low, point.value.high], color=line_style(i)["color"], linewidth=1)
        panel.set_xticks(range(len(found)), [_tick(point.grade) for point in found], fontsize=8)
    panel.set_title(f"{edit} ({UNITS[edit]})", fontsize=9)
    panel.set_ylim(-0.02, 1.02)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _tick(grade: Grade) -> str:
    return "clean" if grade == CLEAN else f"{grade.value:g}"


def draw_strip(name: str, image: Pixels, grades: Sequence[Grade], seed: int, title: str, path: Path) -> None:
    """The image at each grade, a row for each edit."""
    rows: Mapping[str, list[Tile]] = {
        f"{edit} ({UNITS[edit]})": [
            Tile(_tick(grade), edited(image, grade, key_of(seed, name))) for grade in (CLEAN, *of_edit)
        ]
        for edit, of_edit in groupby(grades, key=lambda grade: grade.edit)
    }
    draw_sheet(rows, max(map(len, rows.values())), title, path)


def legend_of(points: Sequence[Point]) -> str:
    """What the picture of curves shows, in words."""
    metrics = dict.fromkeys(point.metric.title for point in points)
    return f"{', '.join(metrics)} at each grade, with {LEVEL:.0%} intervals"
