"""The tables of a report for papers: each as CSV and as LaTeX."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from medcls.atomic import write_text
from medcls.document.blocks import Section, Table
from medcls.runs.folder import write_table

# What LaTeX would take for a command; dashes and signs as it sets them.
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{EN DASH}": "--",
    "\N{MINUS SIGN}": "$-$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
}


def write_tables(sections: Sequence[Section], folder: Path) -> None:
    """Write every table of the report into ``folder`` as <section>.csv and <section>.tex, numbered where several.

    The LaTeX is a tabular of the package booktabs. Raises UserError when the disk is full.
    """
    folder.mkdir(exist_ok=True)
    for name, table in _named(sections):
        rows = [dict(zip(_distinct(table.columns), row, strict=True)) for row in table.rows]
        if rows:
            write_table(folder / f"{name}.csv", rows)
            write_text(folder / f"{name}.tex", latex(table))


def latex(table: Table) -> str:
    """A table as a tabular: its first column to the left, the others to the right."""
    lines = [" & ".join(map(_escaped, cells)) + r" \\" for cells in (table.columns, *table.rows)]
    head, *rows = lines
    begin = rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", ""])


def _named(sections: Sequence[Section]) -> Iterator[tuple[str, Table]]:
    for section in sections:
        tables = [block for block in section.blocks if isinstance(block, Table)]
        slug = re.sub(r"[^a-z0-9]+", "_", section.title.lower()).strip("_")
        for i, table in enumerate(tables, start=1):
            yield (slug if len(tables) == 1 else f"{slug}_{i}"), table


def _distinct(columns: Sequence[str]) -> list[str]:
    return [name if columns.index(name) == i else f"{name} ({i})" for i, name in enumerate(columns)]


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in " ".join(text.split()))
