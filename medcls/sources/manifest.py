"""A CSV file that lists the images, as a table of samples: path, label, and where known split and patient."""

import csv
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from medcls.config.data import ColumnsConfig
from medcls.data.groups import find_groups
from medcls.data.listing import listing
from medcls.data.split import Division, divide
from medcls.data.table import Sample, SampleTable, check_counts
from medcls.errors import UserError
from medcls.sources.folder import SPLIT_FOLDERS, natural_order
from medcls.sources.paths import ImagePaths

log = logging.getLogger(__name__)

OPTIONAL = ("split", "group")
SHOWN_ROWS = 200  # wrong rows listed before "and N more"


@dataclass(frozen=True)
class Row:
    """A row as it stands in the file, which ends at ``line``; split and group are None without their column."""

    line: int
    path: str
    label: str
    split: str | None
    group: str | None


def read_manifest(
    manifest: Path,
    root: Path,
    classes: Mapping[str, str] | None,
    *,
    columns: ColumnsConfig,
    allow_outside_root: bool,
    group_pattern: str | None,
    division: Division,
) -> SampleTable:
    """Table of the images that a manifest lists, in its order.

    Paths are relative to ``root`` and must lie below it, after links are followed, unless ``allow_outside_root``.
    ``classes``: token -> class name, in label order, where a label is either; None: found, in alphabetical order.
    Without a split column all are divided (see ``divide``). Patients: the group column or, without it,
    ``group_pattern``. Raises UserError for a file that is no such table, and one that lists all wrong rows: no file
    there, outside of the root, listed twice, unknown label or split, no patient where others have one.
    """
    rows = read_rows(manifest, columns)
    if classes is None:
        classes = {label: label for label in natural_order({row.label for row in rows if row.label})}
    labels = {token: i for i, token in enumerate(classes)} | {name: i for i, name in enumerate(classes.values())}
    paths = ImagePaths(root, allow_outside_root)
    samples, problems = [], []
    for row in rows:
        try:
            samples.append(sample_of(row, labels, paths))
        except ValueError as error:
            problems.append(f"line {row.line}: {error}")
    if problems:
        raise UserError(
            f"{manifest}: {len(problems)} of {len(rows)} rows are wrong:\n{listing(problems, SHOWN_ROWS)}\n"
            f"  Expected paths below data.root={root}, labels {', '.join(classes)}. Correct the rows or remove them."
        )
    samples = with_groups(samples, group_pattern, columns)
    divided, split_drawn = divide(samples, division)
    table = SampleTable(root, tuple(classes.values()), divided, split_drawn)
    check_counts(table)
    return table


def with_groups(samples: list[Sample], pattern: str | None, columns: ColumnsConfig) -> list[Sample]:
    """Samples with the patients that ``pattern`` finds in their names. Raises UserError where a column has them too."""
    if pattern is None:
        return samples
    if samples[0].group:
        raise UserError(
            f"data.group_pattern: the manifest has a column of patients too ({columns.group}). Choose one: "
            "data.group_pattern=null or data.columns.group=null"
        )
    groups = find_groups([sample.name for sample in samples], pattern)
    return [replace(sample, group=group) for sample, group in zip(samples, groups, strict=True)]


def sample_of(row: Row, labels: Mapping[str, int], paths: ImagePaths) -> Sample:
    """Sample of a row; ValueError says what is wrong with it."""
    name = paths.check(row.path, row.line)
    if row.label not in labels:
        nearest = get_close_matches(row.label, labels, n=1)
        raise ValueError(f"label {row.label!r} is no class" + (f"; did you mean {nearest[0]}?" if nearest else ""))
    if row.split is not None and row.split.lower() not in SPLIT_FOLDERS:
        raise ValueError(f"split {row.split!r}, expected one of {', '.join(SPLIT_FOLDERS)}")
    if row.group == "":
        raise ValueError("no patient")
    return Sample(name, labels[row.label], SPLIT_FOLDERS[(row.split or "train").lower()], row.group or "")


def read_rows(manifest: Path, columns: ColumnsConfig) -> list[Row]:
    """Rows of a CSV file with the separator that its first line has most of: comma, semicolon or tab.

    Raises UserError when it cannot be read, lacks a column or has no row.
    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = find_columns(manifest, list(reader.fieldnames or []), columns)
        rows = [
            Row(reader.line_num, *((row[name] or "").strip() if name else None for name in names))  # type: ignore[arg-type]
            for row in reader
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"data.manifest: {manifest} cannot be read ({reason}). Expected a CSV file in UTF-8 with a line of column "
            "names: path,label,split,group"
        ) from error
    if not rows:
        raise UserError(f"data.manifest: {manifest} lists no images.")
    return rows


def find_columns(manifest: Path, found: list[str], columns: ColumnsConfig) -> list[str | None]:
    """Names of the columns path, label, split and group; None for one of the last two that is not there.

    Raises UserError for a column that is missing: the first two, or the others when the configuration names them.
    """
    wanted = columns.model_dump()
    missing = {key: name for key, name in wanted.items() if name is not None and name not in found}
    needed = {key: name for key, name in missing.items() if key not in OPTIONAL or name != key}
    if needed:
        lines = []
        for key, name in needed.items():
            nearest = get_close_matches(name, found, n=1)
            lines.append(f"  {name}" + (f"   did you mean data.columns.{key}={nearest[0]}?" if nearest else ""))
        raise UserError(
            f"data.manifest: {manifest} lacks columns:\n" + "\n".join(lines) + "\n"
            f"  Found {', '.join(map(repr, found)) or 'none'}. Name it: data.columns.{next(iter(needed))}=..."
        )
    if "group" in missing:
        log.info("%s: no column %r, so that no patients are known (columns: %s)", manifest, "group", ", ".join(found))
    return [None if key in missing else name for key, name in wanted.items()]
