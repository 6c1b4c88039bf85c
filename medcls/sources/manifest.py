"""A CSV file that lists the images, as a table of samples: path, label, and where known split and patient."""

import csv
import io
import logging
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from medcls.config.data import ColumnsConfig
from medcls.data.split import Division
from medcls.data.table import SampleTable
from medcls.errors import UserError
from medcls.sources.listed import Row, table_of_rows
from medcls.sources.paths import ImagePaths

log = logging.getLogger(__name__)

OPTIONAL = ("split", "group")


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
    ``group_pattern``. Raises UserError for a file that is not such a table, and one that lists all wrong rows: no file
    there, outside of the root, listed twice, unknown label or split, no patient where others have one.
    """
    paths = ImagePaths(root, allow_outside_root)
    return table_of_rows(
        read_rows(manifest, columns),
        root,
        classes,
        source=str(manifest),
        check_path=lambda row: paths.check(row.path, row.place),
        group_pattern=group_pattern,
        groups_twice=f"the manifest has a column of patients too ({columns.group}). Choose one: "
        "data.group_pattern=null or data.columns.group=null",
        division=division,
    )


def read_rows(manifest: Path, columns: ColumnsConfig) -> list[Row]:
    """Rows of a CSV file with the separator that its first line has most of: comma, semicolon or tab.

    Raises UserError when it cannot be read, has no rows, or a column is missing.
    """
    try:
        text = manifest.read_text(encoding="utf-8-sig")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = find_columns(manifest, list(reader.fieldnames or []), columns)
        rows = [
            Row(f"line {reader.line_num}", *((row[name] or "").strip() if name else None for name in names))  # type: ignore[arg-type]
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
            f"data.manifest: {manifest} is missing columns:\n" + "\n".join(lines) + "\n"
            f"  Found {', '.join(map(repr, found)) or 'none'}. Name it: data.columns.{next(iter(needed))}=..."
        )
    if "group" in missing:
        log.info("%s: no column %r, so that no patients are known (columns: %s)", manifest, "group", ", ".join(found))
    return [None if key in missing else name for key, name in wanted.items()]
