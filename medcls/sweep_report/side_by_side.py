"""Several sweeps in one report: the answer, the ranking and the forest plot of each, none compared with another."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from medcls.document.blocks import Note, Section, Table, Text
from medcls.document.paper_tables import write_tables
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import title_of
from medcls.sweep_report.answers import Head, head_of
from medcls.sweep_report.design import Sweep, read_sweep
from medcls.sweep_report.forest import plot_forest
from medcls.sweep_report.ranking import Ranking, rank, ranking_section, show_interval
from medcls.sweep_report.render import Page, write_document
from medcls.sweep_report.verdicts import Verdicts, images_of, judge

_MIXED = (
    "Some of these sweeps are on SIMULATED data, drawn by a program, and marked so: they say nothing about patients."
)


class _Part(NamedTuple):
    sweep: Sweep
    verdicts: Verdicts
    ranking: Ranking
    head: Head


def write_side_by_side(folders: Sequence[Path], target: Path) -> tuple[Path, list[str]]:
    """Write one report, pictures and tables on several sweeps into ``target``; returns the page, and a line for each.

    Nothing is compared across sweeps, whose runs differ in more than was varied: each keeps its own family of tests.
    Raises UserError as ``read_sweep`` does, before anything is written.
    """
    parts = [_judged(read_sweep(folder)) for folder in folders]
    (target / "pictures").mkdir(parents=True, exist_ok=True)
    all_simulated = all(part.sweep.simulated for part in parts)
    sections = [_overview(parts)]
    for i, part in enumerate(parts, start=1):
        picture = plot_forest(replace(part.sweep, folder=target), part.ranking, name=f"forest_{i}")
        section = ranking_section(part.sweep, part.verdicts, part.ranking, picture)
        where = os.path.relpath(part.sweep.folder, target)
        said = [Text(part.head.answer), *(Text(text) for text in (*part.head.failures, *part.head.doubts))]
        blocks = (*said, *section.blocks, Note(f"The whole report: {where}/report.html"))
        sections.append(Section(part.sweep.folder.resolve().name if all_simulated else _title(part), blocks))
    write_tables(sections, target / "tables")
    answers = tuple(f"{_title(part)}: {part.head.answer}" for part in parts)
    mixed = [_MIXED] if any(part.sweep.simulated for part in parts) and not all_simulated else []
    notices = dict.fromkeys([*mixed, *(notice for part in parts for notice in part.sweep.notices)])
    page = Page(
        Head(f"{len(parts)} sweeps side by side, compared within each of them only.", (), (), ""),
        all_simulated,
        tuple(notices),
        ", ".join(_title(part) for part in parts),
    )
    return write_document(target, page, sections), list(answers)


def _judged(sweep: Sweep) -> _Part:
    verdicts = judge(sweep)
    ranking = rank(sweep, verdicts)
    return _Part(sweep, verdicts, ranking, head_of(sweep, verdicts, ranking))


def _title(part: _Part) -> str:
    return f"{part.sweep.folder.resolve().name}{' (simulated)' if part.sweep.simulated else ''}"


def _overview(parts: Sequence[_Part]) -> Section:
    """The best variant of each sweep."""
    rows = []
    for part in parts:
        best, metric = part.ranking.variants[0], title_of(part.sweep.metric)
        images = images_of(part.sweep, part.verdicts.split)
        rows.append((_title(part), best.name, f"{metric} {show_interval(best.value)}", str(best.n_seeds), images))
    columns = ("sweep", "best variant", f"its metric [{LEVEL:.0%} interval]", "seeds", "on")
    note = "Each is the best of its sweep, and so looks better than it is: see the choice below each ranking."
    return Section("Best of each sweep", (Table(columns, tuple(rows)), Note(note)))
