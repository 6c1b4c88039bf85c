"""Folders that other commands left, as far as a sheet uses them, and whether they were made with the run's own nets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from medcls.errors import UserError
from medcls.runs.reading import Shape, read_json


class Judged(TypedDict):
    """What is read of predict.json: SHA-256 of the checkpoints that judged."""

    nets: list[str]


class Elsewhere(TypedDict):
    """What is read of metrics.json of predict."""

    notice: str | None
    data: str
    external: dict[str, Any]


class Summary(TypedDict):
    """What is read of summary.json of predict."""

    images: int
    judged: int
    unreadable: dict[str, str]
    out_of_range: dict[str, int]


class Check(TypedDict):
    """A check of maps, what it found, and whether they fail it."""

    name: str
    text: str
    failed: bool


class Maps(TypedDict):
    """What is read of explain.json."""

    nets: list[str]
    method: str
    checks: list[Check]
    images: list[Any]


class EditedBy(TypedDict):
    """A net that judged edited images; of an older medcls without its SHA-256."""

    sha256: NotRequired[str]


class Robustness(TypedDict):
    """What is read of robustness.json; of an older medcls without its answer in words."""

    answer: NotRequired[str]
    nets: list[EditedBy]


@dataclass(frozen=True)
class External:
    """A folder of medcls predict on labelled images, by its name."""

    name: str
    n_nets: int
    metrics: Elsewhere
    summary: Summary


def read_external(path: Path, digests: Sequence[str]) -> External:
    """A folder of medcls predict. Raises UserError for one that is not complete, without labels, or by other nets."""
    if not (path / "metrics.json").is_file() or not (path / "summary.json").is_file():
        raise UserError(
            f"external: {path} holds no metrics.json and summary.json, as medcls predict leaves them for labelled "
            "images.\n  Make it: medcls predict run=... data.root=... output=..."
        )
    nets = expected(path / "predict.json", Judged)["nets"]
    _check_nets("external", path, nets, digests)
    metrics = expected(path / "metrics.json", Elsewhere)
    return External(path.resolve().name, len(nets), metrics, expected(path / "summary.json", Summary))


def read_maps(path: Path, digests: Sequence[str]) -> Maps:
    """A folder of medcls explain. Raises UserError for any other, or one of other nets."""
    file = path / "explain.json"
    if file.is_file() and "nets" not in read_json(file, dict[str, Any]):
        raise _made_by_older("maps", file, "medcls explain run=...")
    found = expected(file, Maps)
    _check_nets("maps", path, found["nets"], digests)
    return found


def read_robustness(path: Path, digests: Sequence[str]) -> Robustness:
    """A folder of medcls robustness. Raises UserError for any other, or one of other nets."""
    found = expected(path / "robustness.json", Robustness)
    if "answer" not in found or not all("sha256" in net for net in found["nets"]):
        raise _made_by_older("robustness", path, "medcls robustness run=...")
    _check_nets("robustness", path, [net["sha256"] for net in found["nets"]], digests)
    return found


def _made_by_older(key: str, path: Path, command: str) -> UserError:
    return UserError(
        f"{key}: {path} does not say with which nets it was made; an older medcls wrote it.\n  Make it again: {command}"
    )


def _check_nets(key: str, path: Path, nets: Sequence[str], digests: Sequence[str]) -> None:
    if not nets or not set(nets) <= set(digests):
        raise UserError(f"{key}: {path} was made with other nets than those of run. Name a folder made with this run.")


def expected(path: Path, shape: type[Shape]) -> Shape:
    """Content of a file of JSON. Raises UserError where it is missing or damaged."""
    try:
        return read_json(path, shape)
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing. Restore it from a copy.") from error
