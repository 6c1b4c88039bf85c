"""Baselines beside nets, as baseline.json has them: on a terminal and in a report."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from medcls.document.blocks import Note, Section, Table, Text
from medcls.errors import UserError
from medcls.evaluation.interval import LEVEL, defined
from medcls.evaluation.metrics import COMPARED
from medcls.report.closing_table import cell, empty_table
from medcls.runs.folder import RunFolder
from medcls.runs.reading import digest_of, read_json

FILE = "baseline.json"  # in the folder of a run, or of a sweep
_TITLE = "Against baselines"
_METHOD = (
    f"Baselines: logistic regressions fitted to the same training images, on small pixels and on levels and texture. "
    f"In brackets: {LEVEL:.0%} intervals."
)
_FLATTERED = "The net's epoch was chosen on these images, the baselines were not: the comparison favors the net."


def print_baselines(content: Mapping[str, Any], file: Path) -> None:
    """Print the table and the verdicts."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print(f"\n{content['data']}, {content['n']} {content['images']}", style="bold")
    if content["simulated"]:
        console.print("SIMULATED DATA: these metrics say nothing about patients.", style="bold white on red")
    if content["notice"]:
        console.print(content["notice"], style="bold red")
    for name, variant in _variants(content):
        console.print(f"\n{name}")
        columns, rows = _table(variant)
        table = empty_table(*columns)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        for line in _verdicts(variant):
            console.print(line)
    console.print(f"\n{_METHOD}{' ' * content['chosen_on_them']}{_FLATTERED * content['chosen_on_them']}")
    console.print(str(file), soft_wrap=True)


def baselines_section(folder: Path) -> Section | None:
    """What ``medcls baseline`` left in the folder of a run or of a sweep; None where it was not run.

    Of earlier nets there is only a note that says so. Raises UserError where the file is damaged.
    """
    if (content := read_baselines(folder)) is None:
        return None
    earlier = of_earlier_nets(folder, content)
    return Section(_TITLE, (Text(earlier),)) if earlier else _section(content)


def of_earlier_nets(folder: Path, content: Mapping[str, Any]) -> str:
    """What to say where a net is not the one that baselines were compared with; "" else, or where that is not known.

    An older medcls did not note the nets, and a pack may leave them out.
    """
    for run, digest in content.get("nets", {}).items():
        best = RunFolder(folder / run).best
        if best.is_file() and digest_of(best) != digest:
            return f"{FILE} is of earlier nets. Make it again: medcls baseline run={folder}"
    return ""


def read_baselines(folder: Path) -> dict[str, Any] | None:
    """Content of baseline.json, of which all can be shown; None where there is none. Raises UserError for any other."""
    if not (folder / FILE).is_file():
        return None
    content = read_json(folder / FILE, dict[str, Any])
    try:
        _section(content)
        content.get("nets", {}).items()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{folder / FILE}: damaged or of another program ({type(error).__name__}: {error}).\n"
            f"  Make it again, or remove it: medcls baseline run={folder}"
        ) from error
    return content


def _section(content: Mapping[str, Any]) -> Section:
    tested = COMPARED[0]
    columns = ("net", tested.title, "baseline", f"its {tested.title}", "net: more by", "adjusted p", "verdict")
    rows = []
    for name, of in _variants(content):
        for baseline, one in of["baselines"].items():
            areas = cell(of["net"][tested.name]), baseline, cell(one[tested.name]), cell(one["net_minus_baseline"])
            rows.append((name, *areas, _p(one), one["verdict"].removeprefix("the net is ")))
    about = f"{content['n']} {content['images']}. {_METHOD}{' ' * content['chosen_on_them']}"
    notice = (Text(content["notice"]),) if content["notice"] else ()
    note = Note(about + _FLATTERED * content["chosen_on_them"])
    return Section(_TITLE, (*notice, Table(columns, tuple(rows)), note))


def _variants(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The net of a run, or those of each variant of a sweep, with their baselines."""
    if "variants" not in content:
        yield content["model"], content
    yield from content.get("variants", {}).items()


def _table(variant: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    titles = (metric.title for metric in COMPARED)
    name = f"{seeds} seeds" if (seeds := variant.get("seeds", 1)) > 1 else "net"
    rows = [(name, *(cell(variant["net"][metric.name]) for metric in COMPARED), "")]
    for baseline, one in variant["baselines"].items():
        rows.append((baseline, *(cell(one[m.name]) for m in COMPARED), cell(one["net_minus_baseline"])))
    return ("", *titles, f"net: {COMPARED[0].title} more by"), tuple(rows)


def _verdicts(variant: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {one['verdict']} (adjusted p {_p(one)}; {one['seconds']} s)."
        for name, one in variant["baselines"].items()
    ]


def _p(one: Mapping[str, Any]) -> str:
    p = one["p_adjusted"]
    return f"{p:.2g}" if defined(p) else "undefined"
