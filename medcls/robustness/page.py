"""What the page says about the points: the answer in a sentence, curves, and a table for each edit."""

import math
from collections.abc import Sequence

from medcls.document.blocks import Note, Picture, Section, Table
from medcls.evaluation.interval import LEVEL
from medcls.robustness.edits import CLEAN, UNITS
from medcls.robustness.judged import Judged
from medcls.robustness.pictures import by_edit, legend_of
from medcls.robustness.points import Point
from medcls.sweep_report.over_seeds import show_spread
from medcls.sweep_report.ranking import show_interval
from medcls.sweep_report.verdicts import show_p, signed

_NONE = "\N{EN DASH}"


def answer_of(points: Sequence[Point], judged: Judged) -> str:
    """At which grades each metric is shown to fall or to rise."""
    first = points[0]
    text = f"{first.metric.title} on {judged.n} images ({judged.called}) is {show_interval(first.value, 2)}"
    said = []
    for metric in dict.fromkeys(point.metric for point in points):
        of_metric = [point for point in points if point.metric == metric]
        ways = [_where(of_metric, way, word) for way, word in ((-1, "fall"), (1, "rise"))]
        if any(ways):
            said.append(f"{metric.title} is shown to {' and to '.join(way for way in ways if way)}")
        elif metric == first.metric:
            said.append("no difference from it is shown at any grade")
    at_threshold = "; at the threshold of the run, " if len(said) > 1 else ""
    return f"{text}; {said[0]}{at_threshold}{' and '.join(said[1:])}."


def _where(points: Sequence[Point], way: int, word: str) -> str:
    """The grades at which a metric is shown to fall (-1) or to rise (1); empty where at none."""
    said = []
    changed = [point for point in points if point.change is not None]
    for edit, less in dict.fromkeys((point.grade.edit, point.grade.strength < 0) for point in changed):
        of_edit = [one for one in changed if (one.grade.edit, one.grade.strength < 0) == (edit, less)]
        of_edit.sort(key=lambda point: abs(point.grade.strength))
        shown = [one.change is not None and one.change.shown and one.change.difference * way > 0 for one in of_edit]
        grades = [f"{one.grade.value:g}" for one, so in zip(of_edit, shown, strict=True) if so]
        if len(grades) > 1 and all(shown[-len(grades) :]):  # at all stronger ones too
            said.append(f"from {edit} {grades[0]} on")
        elif grades:
            said.append(f"at {edit} {' and '.join(filter(None, (', '.join(grades[:-1]), grades[-1])))}")
    return f"{word} {', '.join(said)}" if said else ""


def sections_of(points: Sequence[Point], judged: Judged) -> list[Section]:
    """Curves, an image at each grade, and a table for each edit."""
    curves = (Picture("pictures/curves.png", legend_of(points)), Note(_how(points, judged)))
    strip = Picture("pictures/strip.png", "One image at each grade")
    sections = [Section("Curves", curves), Section("One image at each grade", (strip,))]
    return sections + [
        Section(f"{edit.capitalize()}, {UNITS[edit]}", (_table(of_edit),)) for edit, of_edit in by_edit(points).items()
    ]


def _how(points: Sequence[Point], judged: Judged) -> str:
    n_seeds = points[0].of_seeds.n
    about = "Intervals refer to other images, judged by this very net."
    if n_seeds > 1:
        about = (
            f"Mean over {n_seeds} nets or seeds; intervals of metrics refer to other seeds and images, those of "
            "differences to other images, judged by these very nets."
        )
    chosen = " Epochs and thresholds were chosen on these very images, unchanged." if judged.chosen_on else ""
    tests = sum(point.change is not None and math.isfinite(point.change.p) for point in points)
    return (
        f"{about}{chosen} Differences are paired: the same images by the same nets, unchanged and edited. One is shown "
        f"(*) where its p-value, adjusted for all {tests} tests of this page (Holm), is below {1 - LEVEL:.0%}. "
        "All but AUROC are at the threshold that each run fixed on validation images, the same for all grades. Images "
        "are edited as the net takes them: decoded, at its size."
    )


def _table(points: Sequence[Point]) -> Table:
    """A row for each metric and grade of an edit."""
    several = points[0].of_seeds.n > 1
    columns = ["metric", "grade", f"value [{LEVEL:.0%} interval]", *(["over seeds"] if several else [])]
    columns += ["difference from clean", "p, adjusted", *(["difference over seeds"] if several else [])]
    rows = []
    for point in sorted(points, key=lambda point: [one.metric for one in points].index(point.metric)):
        change = point.change
        row = [point.metric.title, "clean" if point.grade == CLEAN else f"{point.grade.value:g}"]
        row += [show_interval(point.value), *([show_spread(point.of_seeds, 3)] if several else []), _show_change(point)]
        row.append(_NONE if change is None or math.isnan(change.adjusted) else show_p(change.adjusted))
        row += [_NONE if change is None else show_spread(point.change_of_seeds, 3)] if several else []
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))


def _show_change(point: Point) -> str:
    """The difference with its interval, marked where it is shown."""
    change = point.change
    if change is None or math.isnan(change.difference):
        return _NONE
    limits = f" [{signed(change.low)}, {signed(change.high)}]" if change.low < change.high else ""
    return f"{signed(change.difference)}{limits}{' *' if change.shown else ''}"
