"""A CSV file that lists the images, as a table of samples: path, label, and where known split and patient."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from medcls.config.data import ColumnsConfig, SplitConfig
from medcls.data.listing import listing
from medcls.data.table import SampleTable
from medcls.errors import UserError
from medcls.quoting import typed
from medcls.sources.listed import Row, table_of_rows
from medcls.sources.location import Manifest
from medcls.sources.paths import ImagePaths
from medcls.sources.split_names import EXPECTED, splits_in_paths

log = logging.getLogger(__name__)

WITHOUT = {"split": "have new splits drawn", "group": "do without patients"}
OPTIONAL = tuple(WITHOUT)
PATH, FILE_NAME = "path", "file_name"  # what the column of paths is called, and in metadata.csv of image folders
TWICE = "the manifest has a column of patients too ({}). Choose one: data.group_pattern=null or data.columns.group=null"
UNREADABLE = (OSError, UnicodeDecodeError, csv.Error, TypeError)  # of a file that is not a CSV file


def read_manifest(
    manifests: Sequence[Manifest],
    root: Path,
    classes: Mapping[str, str] | None,
    *,
    columns: ColumnsConfig,
    allow_outside_root: bool,
    group_pattern: str | None,
    split: SplitConfig,
) -> SampleTable:
    """Table of the images that a manifest lists, or one in each split folder, in its order.

    Paths are relative to ``root``, in a split folder to that, and must lie below the root, after links are followed,
    unless ``allow_outside_root``. ``classes``: token -> class name, in label order, where a label is either; None:
    found, in alphabetical order. Without a split column the folders in the paths give it, where all paths have one (see
    ``split_named``); else all are divided (see ``divide``). Patients: the group column or, without it,
    ``group_pattern``. Raises UserError for a file that is not such a table, and one that lists all wrong rows: no file
    there, outside of the root, listed twice, no or an unknown label or split, no patient where others have one.
    """
    paths = ImagePaths(root, allow_outside_root)
    rows = read_all(manifests, columns)
    source = ", ".join(str(manifest.file) for manifest in manifests)
    if rows[0].split is None and columns.split is not None:
        rows = with_splits_of_paths(rows, source, columns.split)
    return table_of_rows(
        rows,
        root,
        classes,
        source=source,
        check_path=lambda row: paths.check(row.path, row.place),
        group_pattern=group_pattern,
        groups_twice=TWICE.format(columns.group),
        split=split,
    )


def read_all(manifests: Sequence[Manifest], columns: ColumnsConfig) -> list[Row]:
    """Rows of all manifests. Raises UserError as ``read_rows`` does, and where only some name splits or patients."""
    tables = {manifest.file: read_rows(manifest, columns) for manifest in manifests}
    for key in OPTIONAL:
        without = [str(file) for file, rows in tables.items() if getattr(rows[0], key) is None]
        if 0 < len(without) < len(tables):
            name = getattr(columns, key)
            raise UserError(
                f"data.manifest: no column {name!r} in {len(without)} of {len(tables)} files:\n{listing(without)}\n"
                f"  Expected it in each or in none. Add it, remove it from the others, or {WITHOUT[key]}: "
                f"data.columns.{key}=null"
            )
    return [row for rows in tables.values() for row in rows]


def with_splits_of_paths(rows: list[Row], source: str, column: str) -> list[Row]:
    """Rows with the split that a folder in their path names; unchanged where no path names one.

    Raises UserError where only some do, or a folder may or may not be a split: test images drawn anew could train.
    """
    choice = (
        f"  Add a column {column!r}, or have new splits drawn, whatever the folders are called: data.columns.split=null"
    )
    try:
        splits = splits_in_paths([row.path.replace("\\", "/") for row in rows])
    except ValueError as error:
        raise UserError(
            f"{source}: no column {column!r}, and the folders in {error} may name a split: expected one of "
            f"{EXPECTED}.\n{choice}"
        ) from error
    if without := [row.path for row, split in zip(rows, splits, strict=True) if split is None]:
        if len(without) == len(rows):
            return rows
        raise UserError(
            f"{source}: no column {column!r}; the folders in {len(rows) - len(without)} paths name a split, those in "
            f"{len(without)} do not:\n{listing(without)}\n{choice}"
        )
    log.info("%s: no column %r; splits are taken from the folders in the paths", source, column)
    return [replace(row, split=split) for row, split in zip(rows, splits, strict=True)]


def read_rows(manifest: Manifest, columns: ColumnsConfig) -> list[Row]:
    """Rows of a CSV file. Raises UserError when it cannot be read, has no rows, or lacks or repeats a column."""
    file, folder = manifest
    try:
        reader, skipped = open_csv(file)
        header = [cell.strip() for cell in next(reader, [])]
        at = find_columns(file, header, columns)
        rows = []
        for cells in reader:
            line = reader.line_num + skipped
            if any(cell.strip() for cell in cells[len(header) :]):
                raise csv.Error(f"line {line}: {len(cells)} cells under {len(header)} column names")
            if not cells:
                continue
            path, label, split, group = (
                None if i is None else (cells[i] if i < len(cells) else "").strip() for i in at
            )
            place = f"{folder}/{file.name}, line {line}" if folder else f"line {line}"
            named = enumerate(zip(header, cells, strict=False))  # a row may lack its last cells
            others = {name: cell.strip() for i, (name, cell) in named if name and i not in at}
            path = f"{folder}/{path}" if folder and path else path or ""
            rows.append(Row(place, path, label or "", split, group, others))
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"data.manifest: {file} cannot be read ({reason}). Expected a CSV file in UTF-8 with a line of column "
            "names: path,label,split,group"
        ) from error
    if not rows:
        raise UserError(f"data.manifest: {file} lists no images.")
    return rows


def open_csv(file: Path) -> tuple[Any, int]:
    """Reader of a CSV file, and the number of lines before its header.

    Its separator is the most frequent of comma, semicolon and tab in its first line, or what sep= names there (Excel).
    """
    text = file.read_text(encoding="utf-8-sig")
    first, _, rest = text.partition("\n")
    named = first.strip(' \r"').lower().startswith("sep=")
    separator = first.strip(' \r"')[4:] if named else max(",;\t", key=first.count)
    return csv.reader(io.StringIO(rest if named else text, newline=""), delimiter=separator, strict=True), int(named)


def find_columns(manifest: Path, found: list[str], columns: ColumnsConfig) -> list[int | None]:
    """Positions of the columns path, label, split and group; None for one of the last two that is missing.

    Raises UserError for a column that occurs twice, or is missing: path or label always, the others when the
    configuration names them or another column may be meant (see ``alike``).
    """
    wanted = {key: None if name is None else name.strip() for key, name in columns.model_dump().items()}
    if PATH not in found and FILE_NAME in found:
        wanted = {key: FILE_NAME if name == PATH else name for key, name in wanted.items()}
    if twice := [name for name in found if name and found.count(name) > 1]:
        raise UserError(
            f"data.manifest: {manifest} has {found.count(twice[0])} columns {twice[0]!r}, expected one.\n"
            "  Rename the others."
        )
    missing = {key: name for key, name in wanted.items() if name is not None and name not in found}
    others = [name for name in found if name not in wanted.values()]
    near = {key: alike(name, others) for key, name in missing.items()}
    if needed := {key: name for key, name in missing.items() if key not in OPTIONAL or name != key or near[key]}:
        lines = []
        for key, name in needed.items():
            nearest = near[key] or next(iter(get_close_matches(name, others, n=1)), None)
            hint = f"   did you mean {typed(f'data.columns.{key}', nearest)}?" if nearest else ""
            lines.append(f"  {name}{hint}" + f"   (data.columns.{key}=null where there is none)" * (key in OPTIONAL))
        raise UserError(
            f"data.manifest: {manifest} is missing columns:\n" + "\n".join(lines) + "\n"
            f"  Found {', '.join(map(repr, found)) or 'none'}. Name it: data.columns.{next(iter(needed))}=..."
        )
    if "group" in missing:
        log.info(
            "%s: no column 'group', so no patients are known (columns: %s). If one of them names patients: "
            "data.columns.group=<column>",
            *(manifest, ", ".join(found)),
        )
    return [None if name is None or key in missing else found.index(name) for key, name in wanted.items()]


def alike(name: str, found: Sequence[str]) -> str | None:
    """The column called ``name`` but for case and a plural s; file_name counts as path; None where there is none."""
    folded = {other.casefold().removesuffix("s"): other for other in found}
    return folded.get(name.casefold().removesuffix("s")) or (folded.get(FILE_NAME) if name == PATH else None)
