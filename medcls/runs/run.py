"""A run as its folder describes it, whatever state it is in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.history import Row, read_history
from medcls.runs.predictions import Predictions, read_predictions
from medcls.runs.reading import of_shape, read_json, read_yaml

# Metrics that are shares of images, or an area; those of the user's own may have any value.
SHARES = ("accuracy", "balanced_accuracy", "auroc", "sensitivity", "specificity", "f1")


class Fold(NamedTuple):
    """The fold, from 0, that a run validates on, and the number of folds."""

    number: int
    of: int


@dataclass(frozen=True)
class Run:
    """One run of a sweep, as far as its folder describes it.

    values: of the settings that the sweep varied, for a run alone of all settings; ``config`` has all settings.
    state: "done", "failed", "stopped", "running" or "not started"; reason: why it is not done, empty when it is.
    history: one row per epoch; metrics: metrics.json; predictions: of the best epoch, by split ("val", "test").
    If the run is not done, history may be empty and metrics is empty. fold: None without cross-validation.
    """

    name: str
    folder: Path
    variant: str
    seed: int
    values: Mapping[str, Any]
    fold: Fold | None
    state: str
    reason: str
    history: list[Row] = field(default_factory=list)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    predictions: Mapping[str, Predictions] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.state == "done"

    @property
    def config(self) -> Mapping[str, Any]:
        """Content of config.yaml, plain values; empty where there is none."""
        return read_config(self.folder) or {}

    @property
    def images(self) -> dict[str, Any]:
        """Content of data.json, which a run has from its start; empty where there is none that can be read."""
        try:
            return read_json(RunFolder(self.folder).data, dict[str, Any])
        except (UserError, FileNotFoundError):
            return {}

    @property
    def simulated(self) -> bool:
        """Whether it was, or is, trained on simulated images."""
        return bool((self.metrics or self.images).get("simulated"))

    @property
    def log(self) -> Path | None:
        """The newest log in the folder."""
        logs = sorted(self.folder.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name))
        return logs[-1] if logs else None


def read_run(
    folder: Path, name: str, variant: str, seed: int, values: Mapping[str, Any], fold: Fold | None = None
) -> Run:
    """The run in ``folder``; for one that is unfinished or damaged, ``reason`` says why, and nothing is raised."""
    state, reason = _read_state(RunFolder(folder))
    run = Run(name, folder, variant, seed, values, fold, state, reason)
    if state != "done":
        return replace(run, history=_history_so_far(folder))
    try:
        metrics: Mapping[str, Any] = read_json(RunFolder(folder).metrics, Metrics)
        history = read_history(RunFolder(folder).history)
        _check_complete(metrics, history)
        if metrics["last"]["epoch"] != len(history):
            raise ValueError(f"history.csv has {len(history)} of {metrics['last']['epoch']} epochs")
        predictions = read_predictions(RunFolder(folder).predictions, metrics)
        _check_counts(metrics, predictions)
    except (UserError, OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reason = f"the run ended, but its files are incomplete or damaged ({type(error).__name__}: {error})"
        return replace(run, state="failed", reason=reason)
    return replace(run, history=history, metrics=metrics, predictions=predictions)


def read_config(folder: Path) -> dict[str, Any] | None:
    """Content of config.yaml; None where it is absent or not a mapping."""
    try:
        return read_yaml(RunFolder(folder).config)
    except UserError:
        return None


def seed_and_fold(config: Mapping[str, Any], file: Path) -> tuple[int, Fold | None]:
    """Seed and fold in a stored configuration, read from the run's ``file``; a missing seed is 0.

    Raises UserError for values that no run can have.
    """
    stored = of_shape(config, _Repetition, file)
    split = stored.get("data", {}).get("split", {})
    folds, fold = split.get("folds"), split.get("fold", 0)
    if folds is not None and fold >= folds:
        raise UserError(f"{file}: found data.split.fold={fold}, expected 0 to {folds - 1} (data.split.folds={folds}).")
    return stored.get("seed", 0), Fold(fold, folds) if folds is not None else None


def validation_images(metrics: Mapping[str, Any]) -> str:
    """What the images are called that the best epoch was chosen on; metrics: content of metrics.json."""
    return "test images, as validation" if metrics.get("test_validates") else "validation images"


def value_of(scored: Mapping[str, Any] | None, name: str) -> float:
    """A metric of a part of metrics.json, there a number or an interval; NaN where it is undefined or absent."""
    value = (scored or {}).get(name)
    value = value.get("value") if isinstance(value, Mapping) else value
    return float("nan") if value is None else float(value)


def _read_state(folder: RunFolder) -> tuple[str, str]:
    """State, and why the run is not done."""
    if not folder.path.is_dir() or not any(folder.path.iterdir()):
        return "not started", "not started"
    try:
        status = folder.read_status()
    except UserError as error:
        return "failed", str(error).splitlines()[0]
    if status is None:
        return "failed", "ended before training began; its log says why"
    state, epoch, reason = status["state"], status["epoch"], status["reason"]
    if state == "running":
        return state, f"still running, or killed, after epoch {epoch}"
    if state == "done":
        return state, ""
    return state, f"{reason or 'no reason recorded'} (after epoch {epoch})"


def _history_so_far(folder: Path) -> list[Row]:
    try:
        return read_history(RunFolder(folder).history)
    except (OSError, ValueError):
        return []


# A class of a split and its numbers of images and patients; of more than two classes with its metrics.
ClassRow = TypedDict("ClassRow", {"class": str, "images": int, "patients": int | None})


class Metrics(TypedDict):
    """What is expected of metrics.json; its metrics are checked besides."""

    simulated: bool
    notice: NotRequired[str | None]
    data: str
    model: str
    classes: Annotated[list[str], Field(min_length=2)]
    positive: str | None
    n_val: Annotated[int, Field(ge=1)]
    parameters: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    best: "Epoch"
    last: "Epoch"
    test: NotRequired[dict[str, Any] | None]
    per_class: NotRequired[dict[str, list[ClassRow]]]


_Count = Annotated[int, Field(ge=0, strict=True)]


class _Split(TypedDict):
    folds: NotRequired[Annotated[int, Field(ge=2, strict=True)] | None]
    fold: NotRequired[_Count]


class _Data(TypedDict):
    split: NotRequired[_Split]


class _Repetition(TypedDict):
    """The part of config.yaml that says which seed and fold a run is of."""

    seed: NotRequired[_Count]
    data: NotRequired[_Data]


class Epoch(TypedDict):
    """An epoch, from 1, and its metrics on the validation images."""

    epoch: Annotated[float, Field(ge=1)]
    val: dict[str, Any]


def _check_counts(metrics: Mapping[str, Any], predictions: Mapping[str, Predictions]) -> None:
    """Raise ValueError where the predictions of a split are not for as many images as its metrics."""
    test = metrics.get("test")
    for split, expected in (("val", metrics["n_val"]), ("test", test["n"] if test else 0)):
        if (found := len(predictions[split].names) if split in predictions else 0) != expected:
            raise ValueError(f"predictions.csv has {found} of {expected} images of {split}")


def _check_complete(metrics: Mapping[str, Any], history: list[Row]) -> None:
    """Raise ValueError when something that every finished run has is missing."""
    if not history:
        raise ValueError("history.csv has no epoch")
    epochs = [row["epoch"] for row in history]
    if metrics["best"]["epoch"] not in epochs:
        raise ValueError(f"best epoch {metrics['best']['epoch']} is not in history.csv")
    for part in ("best", "last"):
        if math.isnan(value_of(metrics[part]["val"], "loss")):
            raise ValueError(f"metrics.json has no validation loss of the {part} epoch")
    for scored in (metrics["best"]["val"], metrics["last"]["val"], metrics.get("test") or {}):
        for name, found in scored.items():
            values = [found.get(key) for key in ("value", "low", "high")] if isinstance(found, Mapping) else [found]
            if name in SHARES and not all(value is None or math.isnan(value) or 0 <= value <= 1 for value in values):
                raise ValueError(f"metrics.json has {name} {found}, expected 0 to 1")
            value_of(scored, name)
