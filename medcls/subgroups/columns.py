"""Columns of a manifest as subgroups: values as they are, numbers of many values in bands, all else left out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict

from medcls.atomic import write_json
from medcls.errors import UserError
from medcls.runs.reading import read_json

MOST = 12  # values of a column that are taken as they are
UNKNOWN = "unknown"
FILE = "subgroups.json"  # in a run folder

Columns = dict[str, tuple[str, ...]]  # column -> value of each image


def subgroup_columns(further: Mapping[str, Mapping[str, str]], names: Sequence[str]) -> tuple[Columns, dict[str, str]]:
    """Column -> value of each of the images ``names``; and of columns that make no subgroups the reason.

    further: name -> column -> value as the manifest has it.
    """
    found: Columns = {}
    left_out: dict[str, str] = {}
    for column in dict.fromkeys(column for of in further.values() for column in of):
        values = [further.get(name, {}).get(column, "").strip() or UNKNOWN for name in names]
        known = [value for value in values if value != UNKNOWN]
        if len(set(values)) < 2:
            left_out[column] = "one value"
        elif len(set(known)) <= MOST:
            found[column] = tuple(values)
        elif len(set(known)) == len(known):
            left_out[column] = "another value for each image"
        elif (numbers := _numbers(values)) is None:
            left_out[column] = f"{len(set(known))} values"
        else:
            found[column] = _bands(numbers)
    return found, left_out


def _numbers(values: Sequence[str]) -> list[float] | None:
    """Numbers, NaN where unknown; None where a value is none."""
    try:
        found = [math.nan if value == UNKNOWN else float(value) for value in values]
    except ValueError:
        return None
    return found if not any(map(math.isinf, found)) else None


def _bands(numbers: Sequence[float]) -> tuple[str, ...]:
    """Quarters of the known numbers, named by the lowest and highest in each."""
    array = np.asarray(numbers)
    edges = np.quantile(array[~np.isnan(array)], [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, array, side="left")
    names = {}
    for k in np.unique(quarter[~np.isnan(array)]):
        inside = array[(quarter == k) & ~np.isnan(array)]
        names[k] = f"{inside.min():g} to {inside.max():g}"
    return tuple(UNKNOWN if np.isnan(one) else names[k] for one, k in zip(array, quarter, strict=True))


def write_columns(folder: Path, further: Mapping[str, Mapping[str, str]], names: Sequence[str]) -> None:
    """Write subgroups.json of a run on the images ``names``, where a list says more of them; bands, not numbers."""
    if further:
        columns, left_out = subgroup_columns(further, names)
        write_json(folder / FILE, {"images": list(names), "columns": columns, "left_out": left_out})


def read_columns(folder: Path, names: Sequence[str]) -> tuple[Columns, dict[str, str]] | None:
    """What ``subgroup_columns`` gives, of the images ``names`` of a run; None of a run without such a file.

    Raises UserError where the file is damaged, or of other images.
    """
    if not (folder / FILE).is_file():
        return None
    content = read_json(folder / FILE, _Stored)
    at = {name: i for i, name in enumerate(content["images"])}
    if any(len(values) != len(at) for values in content["columns"].values()) or not at.keys() >= set(names):
        raise UserError(f"{folder / FILE}: of other images than the run. Restore it from a copy, or remove it.")
    columns = {name: tuple(values[at[one]] for one in names) for name, values in content["columns"].items()}
    return columns, content["left_out"]


class _Stored(TypedDict):
    images: list[str]
    columns: dict[str, list[str]]
    left_out: dict[str, str]
