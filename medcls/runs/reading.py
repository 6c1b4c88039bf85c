"""Small files of a run or a sweep, as anybody may have left them: plain values of the expected shape, or a message."""

import csv
import hashlib
import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from medcls.errors import UserError

LARGEST = 64 * 2**20  # bytes; sweep.json of a thousand jobs has one
_CHUNK = 2**20  # bytes
Shape = TypeVar("Shape")


class _PlainLoader(yaml.SafeLoader):
    """Plain values only: a reference to another value is an error, since a few lines of them can make billions."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a value refers to another")
        return super().compose_node(parent, index)


class _PlainDumper(yaml.SafeDumper):
    """Writes a value again where it stands twice, as ``_PlainLoader`` wants it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def read_rows(path: Path, columns: Collection[str] = ()) -> list[dict[str, str]]:
    """Rows of a CSV file that has ``columns``, each with a cell in every column.

    Raises OSError, or ValueError with its name for one that is cut or damaged.
    """
    text = path.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(f"{path.name}: {error}") from error
    if missing := set(columns) - set(reader.fieldnames or ()):
        raise ValueError(f"{path.name}: no column {min(missing)}")
    if not text.endswith("\n"):
        raise ValueError(f"{path.name}: cut after {len(rows)} rows")
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ValueError(f"{path.name}, line {line}: not a cell in each column")
    return rows


def read_yaml(path: Path) -> dict[str, Any]:
    """Mapping in a YAML file of plain values. Raises UserError when it holds anything else."""
    try:
        content = yaml.load(_read(path), Loader=_PlainLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({_reason(error)}).\n{_WHAT_TO_DO}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UserError(f"{path}: found {type(content).__name__}, expected a mapping of keys to values.\n{_WHAT_TO_DO}")
    return content


def yaml_text(values: dict[str, Any]) -> str:
    """Plain values as YAML, in their order."""
    return yaml.dump(values, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True)


def read_json(path: Path, shape: type[Shape]) -> Shape:
    """Content of a JSON file, of ``shape`` (a TypedDict, whose keys it has at least).

    Raises UserError when it is damaged or holds anything else, FileNotFoundError when there is none.
    """
    try:
        content = json.loads(_read(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    return of_shape(content, shape, path)


def of_shape(content: Any, shape: type[Shape], path: Path) -> Shape:
    """``content`` of the file ``path``, or a part of it. Raises UserError where it is not of ``shape``."""
    try:
        TypeAdapter(shape).validate_python(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    return content  # type: ignore[no-any-return]


def digest_of(path: Path) -> str:
    """SHA-256 of a file, of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: damaged or written by another program ({_reason(error)}).\n{_WHAT_TO_DO}")


def _read(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.stat().st_size:,} bytes")
    return path.read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg'][0].lower()}{first['msg'][1:]}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return (getattr(error, "strerror", None) or str(error)).splitlines()[0]


_WHAT_TO_DO = "  Restore the file from a copy, or start again in another folder."
