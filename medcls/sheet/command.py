"""From the folder of a run or a sweep to its sheet and its model card."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medcls.atomic import write_text
from medcls.errors import UserError
from medcls.predict.nets import is_sweep
from medcls.predict.new_folder import new_folder, writing_folder
from medcls.runs.folder import RunFolder
from medcls.sheet.answering import of_run, of_sweep
from medcls.sheet.filled import NOT_RECORDED, Filled, fill, overview, section
from medcls.sheet.folders import read_external, read_maps, read_robustness
from medcls.sheet.model_card import front_matter, sections
from medcls.sheet.record import Record, digest, read_record
from medcls.sheet.schema import ConfigWithSheet
from medcls.sweep_report.answers import Head
from medcls.sweep_report.design import Sweep, read_sweep
from medcls.sweep_report.render import Page, markdown, write_document

log = logging.getLogger(__name__)


def sheet(config: ConfigWithSheet) -> Path:
    """Write sheet.html, sheet.md and model_card.md; returns the first.

    Raises UserError where no run is finished, for a damaged file, and for folders on other nets.
    """
    path = config.run[0].expanduser()
    if not path.is_dir() or not ((path / "sweep.json").is_file() or any(path.rglob("status.json"))):
        raise UserError(f"run: {path} is not the folder of a run or a sweep. Name one, such as runs/<run>.")
    sweep = read_sweep(path)
    records = _records(sweep, path)
    if config.external or config.maps or config.robustness:
        records = _with_folders(records, config)
    name = path.resolve().name
    folder = new_folder(config.output, f"sheet_{name}", config.data, [record.run for record in records])
    source = of_sweep(sweep, records) if is_sweep(path) else of_run(records[0])
    filled = fill(source)
    page = _page(sweep, name, f"Filled from the files: {', '.join(one.count for one in filled)} items.", filled)
    nets = dict.fromkeys(f"{one.metrics['model']} on {one.metrics['data']}" for one in source.records)
    card = replace(page, head=Head(name, (), (), ""), name=", ".join(nets), subject="Model")
    content = front_matter(source.records, name) + markdown(card, sections(source))
    with writing_folder(folder) as hidden:
        write_text(hidden / "model_card.md", content)
        written = write_document(hidden, page, [overview(filled), *map(section, filled)], "sheet")
    log.info("%s", page.head.answer)
    return folder / written.name


def _records(sweep: Sweep, path: Path) -> list[Record]:
    """The finished runs. Raises UserError where there is none."""
    runs = [run for run in sweep.runs if is_sweep(path) or run.folder == path]
    done = [run for run in runs if run.done]
    if not done:
        reason = f" ({runs[0].reason}).\n  Resume it: {RunFolder(path).resume_override}" if len(runs) == 1 else "."
        raise UserError(f"run: {path} is not finished, and a sheet describes finished runs{reason}")
    return [read_record(run, f"{run.name}/" if run.folder != path else "") for run in done]


def _with_folders(records: Sequence[Record], config: ConfigWithSheet) -> list[Record]:
    """The records with the folders that were made with their nets, on which all of them then report."""
    digests = [digest(record.run) for record in records]
    found: dict[str, Any] = {"external": tuple(read_external(path.expanduser(), digests) for path in config.external)}
    if config.maps:
        maps = config.maps.expanduser()
        found |= {"maps": read_maps(maps, digests), "maps_name": maps.resolve().name}
    if config.robustness:
        edited = config.robustness.expanduser()
        found |= {"robustness": read_robustness(edited, digests), "robustness_name": edited.resolve().name}
    return [replace(record, **found) for record in records]


def _page(sweep: Sweep, name: str, answer: str, filled: Sequence[Filled]) -> Page:
    open_items = [f"{one.checklist.name} {', '.join(of)}" for one in filled if (of := one.numbers(NOT_RECORDED))]
    next_step = f"Not recorded, though a run can record it: {'; '.join(open_items)}." if open_items else ""
    head = Head(answer, (), (), next_step)
    return Page(head, sweep.simulated, tuple(sweep.notices), name, subject="Sheet of")
