"""A page on nets elsewhere: their performance on their own images and on others, side by side."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medcls.composition.run_name import shortened
from medcls.decision.tables import ALT, TITLES
from medcls.document.blocks import Block, Note, Picture, Section, Table, Text
from medcls.errors import UserError
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import COMPARED, title_of
from medcls.predict.folder import PredictFolder, is_predict_folder
from medcls.report.closing_table import cell
from medcls.report.side_by_side import unlike_nets
from medcls.runs.reading import read_json
from medcls.sweep_report.answers import Head
from medcls.sweep_report.render import Page, write_document

_COUNTS = ("images", "n", "n_patients")

Limits = Mapping[str, float | None]


class Elsewhere(NamedTuple):
    """A folder that ``medcls predict`` left of labelled images, and the content of its metrics.json."""

    folder: Path
    metrics: Mapping[str, Any]

    @property
    def sides(self) -> dict[str, Mapping[str, Any]]:
        """The metrics on each set of images, by what these are called in tables."""
        own = self.metrics["internal"]
        return ({f"own {own['images']}": own} if own else {}) | {self.metrics["data"]: self.metrics["external"]}


def report_elsewhere(folders: Sequence[Path]) -> None:
    """Write one page on such folders, of several into a folder of its own beside the first; print what it says.

    Raises UserError for a folder of unlabelled images, one that is not complete, or any other folder among them.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"report: found a folder twice in {', '.join(map(str, folders))}. Name each once.")
    found = [_read(folder) for folder in folders]
    target = folders[0].resolve()
    if len(folders) > 1:
        target = target.parent / shortened(f"report_{'_'.join(folder.resolve().name for folder in folders)}")
        target.mkdir(exist_ok=True)
    answers = [_answer(one) for one in found]
    notices = [f"{one.metrics['data']}: {one.metrics['notice']}" for one in found if one.metrics["notice"]]
    simulated = any(one.metrics["simulated"] for one in found)
    names = ", ".join(one.metrics["data"] for one in found)
    page = Page(Head(" ".join(answers), (), (), ""), simulated, tuple(notices), names, subject="Images elsewhere")
    where = write_document(target, page, [section for one in found for section in _sections(one, target)])
    print("\n".join(["", *answers, f"report: {where}"]))


def _read(folder: Path) -> Elsewhere:
    saved = PredictFolder(folder)
    if not is_predict_folder(folder):
        raise UserError(f"report: {folder} was not left by medcls predict. Expected only such folders, or only sweeps.")
    if saved.read_summary() is None:
        raise UserError(f"report: {folder} is not complete. Re-run the command that began it to finish it.")
    if not saved.metrics.is_file():
        raise UserError(
            f"report: {folder} holds no metrics, since its images have no labels. Expected labelled images."
        )
    return Elsewhere(folder.resolve(), read_json(saved.metrics, dict[str, Any]))


def _answer(one: Elsewhere) -> str:
    """AUROC there and on the nets' own images, in a sentence."""
    name, there, own = COMPARED[0].name, one.metrics["external"], one.metrics["internal"]
    said = f"{title_of(name)} {cell(there[name])} on {one.metrics['data']}"
    if own is None:
        return f"{said}; there is none on the nets' own images to compare with: {one.metrics['no_internal']}."
    return (
        f"{said}, {cell(own[name])} on the nets' own {own['images']}: {_how_far(difference(there[name], own[name]))}."
    )


def _how_far(difference: Limits) -> str:
    low, high = difference["low"], difference["high"]
    if low is None or high is None:
        return "too few images to compare"
    shown = "higher" if low > 0 else "lower" if high < 0 else "no difference shown"
    return f"{shown} ({cell(difference)})"


def difference(there: Limits, own: Limits) -> dict[str, float | None]:
    """The one minus the other, of independent images, with limits from those of each (MOVER: Zou & Donner, 2008)."""
    found = [one[key] for one in (there, own) for key in ("value", "low", "high")]
    known = [math.nan if one is None else one for one in found]
    value = known[0] - known[3]
    low = value - math.hypot(known[0] - known[1], known[5] - known[3])
    high = value + math.hypot(known[2] - known[0], known[3] - known[4])
    limits = {"value": value, "low": low, "high": high}
    return {key: None if math.isnan(one) else one for key, one in limits.items()}


def _sections(one: Elsewhere, target: Path) -> list[Section]:
    """The tables and pictures of one folder."""
    sides, own = one.sides, one.metrics["internal"]
    names = [name for name in one.metrics["external"] if name not in _COUNTS]
    columns = ("", *sides, *(["difference"] if own else []))
    counts = ("images (patients)", *(_count(of) for of in sides.values()), *([""] if own else []))
    rows = [counts]
    for name in names:
        values = [of[name] for of in sides.values()]
        apart = [cell(difference(values[1], values[0]))] if own else []
        rows.append((title_of(name), *map(cell, values), *apart))
    blocks: list[Block] = [
        Text(_answer(one)),
        Table(columns, tuple(rows)),
        Note(f"{_how_to_read(bool(own))} {unlike_nets(one.metrics)}".strip()),
    ]
    quality = one.metrics.get("quality", {})
    worth = [quality[side] for side in ("internal", "external") if side in quality]
    better = tuple((TITLES[name], *(cell(of[name]) for of in worth)) for name in worth[-1]) if worth else ()
    there = {one.folder / f"{kind}.png": alt for kind, alt in ALT.items()}
    pictures = [Picture(os.path.relpath(path, target), alt) for path, alt in there.items() if path.is_file()]
    title = one.metrics["data"]
    sections = [Section(title, tuple(blocks))]
    if better or pictures:
        tables = [Table(("", *sides), better)] if better else []
        sections.append(Section(f"{title}: what its probabilities are worth", (*tables, *pictures)))
    return sections


def _count(of: Mapping[str, Any]) -> str:
    patients = of.get("n_patients")
    return f"{of['n']}" + ("" if patients is None else f" ({patients})")


def _how_to_read(compared: bool) -> str:
    text = f"In brackets: {LEVEL:.0%} intervals for other images (patients, where known) drawn like these."
    if not compared:
        return text
    return (
        f"{text} Differences: these images minus the nets' own, of independent images, not adjusted for their number. "
        "Where a net's epoch or threshold was chosen on validation images, its metrics there are optimistic."
    )
