"""A data set from a function of the user's own: called with its arguments, what it returns checked column by column."""

import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.config import DataConfig
from medcls.config.messages import did_you_mean
from medcls.config.targets import KEY, accepts, check_arguments, locate
from medcls.data.listing import listing
from medcls.data.table import SampleTable
from medcls.errors import UserError
from medcls.sources.arrays import check_pixels
from medcls.sources.image_folder import is_text
from medcls.sources.listed import SHOWN_ROWS, Row, table_of_rows
from medcls.sources.location import find_root
from medcls.sources.paths import ImagePaths

COLUMNS = {
    "images": "uint8 pixels (N, H, W) or (N, H, W, 3)",
    "paths": "of image files below data.root, in place of images",
    "labels": "names or integers",
    "splits": "train, val (or validation), test",
    "groups": "patients",
    "names": "of images, where these are not paths",
}
_OPTIONAL = ("splits", "groups", "names")


def read_own(config: DataConfig) -> tuple[SampleTable, NDArray[np.uint8] | None]:
    """Table of what ``config.target`` returns, with the pixels (N, H, W) or (N, H, W, C) where it returns images.

    It is called with ``config.args`` and, where it has such a parameter, ``root``, a Path. It returns a mapping of the
    columns ``COLUMNS``, of equal length, such as a dict, what np.load returns, or a DataFrame: ``labels`` with either
    ``images`` or ``paths``; without ``splits`` the images are divided as those of a folder without split folders are.
    Raises UserError where it cannot be called, fails, or returns anything else, listing every wrong row.
    """
    source = f"data.{KEY}: {config.target}"
    if config.manifest is not None or config.medmnist is not None:
        key = "manifest" if config.manifest is not None else "medmnist"
        raise UserError(f"data.{key}: found with {source}, which lists the images itself. Leave one of them out.")
    columns, takes_root = call_own(config)
    check_columns(columns, source)
    if "images" not in columns:
        root = find_root(config)
        if not root.is_dir():
            raise UserError(f"data.root: no folder {root}. Name an existing one: data.root=/path/to/images")
        checked = ImagePaths(root, config.allow_outside_root)
        table = own_table(columns, root, config, lambda row: checked.check(row.path, row.place))
        return table, None
    if config.root is not None and not takes_root:
        raise UserError(f"data.root: not for {source}, which has no parameter root and returns no paths. Leave it out.")
    try:
        pixels = check_pixels(np.asarray(columns["images"]))
    except ValueError as error:
        raise UserError(
            f"{source}: returned {error}.\n  For gray values from 0 to 1: multiply by 255, round, and convert to uint8."
        ) from error
    seen: dict[str, str] = {}

    def unique(row: Row) -> str:
        if (other := seen.setdefault(row.path, row.place)) != row.place:
            raise ValueError(f"{row.path}: the same name as {other}")
        return row.path

    return own_table(columns, None, config, unique), pixels


def call_own(config: DataConfig) -> tuple[dict[str, Any], bool]:
    """The columns that the function returned, and whether it has a parameter ``root``."""
    assert config.target is not None
    key = f"data.{KEY}"
    function = locate(config.target, key)
    if not callable(function):
        raise UserError(f"{key}: found {config.target}, {type(function).__name__}. Expected a function.")
    context: dict[str, Any] = {}
    if (takes_root := accepts(function, "root")) and (needs_root(function) or (config.root or config.default_root)):
        context["root"] = find_root(config)
    check_arguments(function, config.args, "data.args", **context)
    try:
        result = function(**context, **config.args)
        if not hasattr(result, "keys") or not hasattr(result, "__getitem__"):
            raise UserError(f"{key}: {config.target} returned {type(result).__name__}, {_expected()}")
        return {str(name): result[name] for name in result.keys()}, takes_root  # noqa: SIM118
    except (UserError, MemoryError):
        raise
    # The user's function may raise anything, and so may an array of an .npz file when it is read.
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{key}: {config.target} failed{_line_of(error, function)}: {type(error).__name__}: {error}"
        ) from error


def needs_root(function: Callable[..., Any]) -> bool:
    """Whether the parameter ``root`` of ``function`` has no default."""
    return inspect.signature(function).parameters["root"].default is inspect.Parameter.empty


def check_columns(columns: Mapping[str, Any], source: str) -> None:
    """Raise UserError for a column that is unknown, missing, or of another length than the labels."""
    for name in columns:
        if name not in COLUMNS:
            hint = did_you_mean(name, COLUMNS)
            raise UserError(f"{source} returned an unknown column {name}.{hint}\n  {_expected().capitalize()}")
    if "labels" not in columns or ("images" in columns) == ("paths" in columns):
        found = ", ".join(columns) or "none"
        raise UserError(f"{source} returned the columns {found}; {_expected()}")
    if "paths" in columns and "names" in columns:
        raise UserError(f"{source} returned paths and names. Paths serve as names: leave out the column names.")
    for name, column in columns.items():
        # A set has another order in every process, and not that of the labels.
        if isinstance(column, str | bytes | Mapping | set | frozenset) or not hasattr(column, "__len__"):
            raise UserError(f"{source}: column {name} is {type(column).__name__}, expected a list or an array.")
        if name != "images" and getattr(column, "ndim", 1) != 1:
            raise UserError(f"{source}: column {name} has the shape {column.shape}, expected one value for each image.")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise UserError(f"{source} returned {found}, expected the same number of each.")
    if not lengths["labels"]:
        raise UserError(f"{source} returned no images.")


def own_table(
    columns: Mapping[str, Any], root: Path | None, config: DataConfig, check_path: Callable[[Row], str]
) -> SampleTable:
    """Table of the columns. Raises UserError that lists all wrong rows."""
    source = f"data.{KEY}: {config.target}"
    texts, problems = {}, []
    for name in COLUMNS:
        if name in columns and name != "images":
            texts[name] = [text_of(value) for value in columns[name]]
            found = zip(columns[name], texts[name], strict=True)
            wrong = [f"row {i}: {name} {value!r}" for i, (value, text) in enumerate(found) if text is None]
            problems += wrong
    if problems:
        raise UserError(
            f"{source}: {len(problems)} values are wrong:\n{listing(problems, SHOWN_ROWS)}\n"
            "  Expected text or integers, and none of them empty."
        )
    count = len(columns["labels"])
    names = texts.get("paths") or texts.get("names") or [f"{config.title}/{i:05d}" for i in range(count)]
    nothing = [None] * count
    rows = [
        Row(f"row {i}", *values)  # type: ignore[arg-type]
        for i, values in enumerate(
            zip(names, texts["labels"], texts.get("splits", nothing), texts.get("groups", nothing), strict=True)
        )
    ]
    return table_of_rows(
        rows,
        root,
        config.classes,
        source=source,
        check_path=check_path,
        group_pattern=config.group_pattern,
        groups_twice=f"{config.target} returns groups too. Choose one: data.group_pattern=null or no groups",
        split=config.split,
    )


def text_of(value: Any) -> str | None:
    """A name, path or integer as text; None for anything else, and for text that no table could hold."""
    if isinstance(value, Path):
        value = value.as_posix()
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str) or not value or "\0" in value or not is_text(value):
        return None
    return str(value)


def _expected() -> str:
    columns = "\n".join(f"  {name}: {what}" for name, what in COLUMNS.items())
    return f"expected labels, and images or paths; {', '.join(_OPTIONAL)} where known:\n{columns}"


def _line_of(error: BaseException, function: Any) -> str:
    """Where in the user's own file ``error`` was raised, for a message."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({file}, line {lines[-1]})" if lines else ""
