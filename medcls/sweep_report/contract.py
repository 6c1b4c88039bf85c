"""sweep.json: what a sweep asked, which jobs it has, and so which run folders belong to it."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from typing_extensions import NotRequired, TypedDict

from medcls.runs.reading import read_json


def _one_folder(name: str) -> str:
    if name in ("", ".", "..") or Path(name).name != name or "\0" in name:
        raise ValueError(f"found {name!r}, expected the name of a folder beside sweep.json")
    return name


class _Variant(TypedDict):
    name: str
    values: dict[str, Any]


class _Job(TypedDict):
    name: Annotated[str, AfterValidator(_one_folder)]
    variant: str
    seed: int
    fold: NotRequired[int | None]
    folds: NotRequired[int | None]
    overrides: NotRequired[list[str]]


class Contract(TypedDict):
    """Content of sweep.json; a file made by hand may leave out what is not required."""

    name: NotRequired[str | None]
    question: NotRequired[str | None]
    command: NotRequired[list[Any] | str | None]
    simulated: NotRequired[bool | None]
    keys: list[str]
    variants: list[_Variant]
    jobs: list[_Job]
    compare: NotRequired[str | list[tuple[str, str]] | None]
    metric: NotRequired[str | None]
    margin: NotRequired[Annotated[float, Field(gt=0, lt=1)] | None]
    reach: NotRequired[list[dict[str, Any]] | None]


def read_contract(path: Path) -> Any:
    """Content of sweep.json, as ``Contract`` says. Raises UserError where it is damaged."""
    return read_json(path, Contract)
