"""The part of the schema that says which images to use and how to read them."""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from medcls.config.section import (
    MACHINERY,
    REPETITION,
    AtLeast1,
    Count,
    Flag,
    Fraction,
    Knob,
    Location,
    Number,
    Section,
    Seed,
    Share,
)
from medcls.config.targets import KEY, DottedPath

PLACE = Knob(on_resume=True, in_name=False)  # where the images are; in the names of runs the data set stands for it


def as_name(name: object) -> object:
    """The name of a class as text, where YAML and Hydra have read a number."""
    if isinstance(name, bool):
        raise ValueError("a string; put NO, off, yes and on in quotes, since YAML reads them as false or true")
    return str(name) if isinstance(name, int | float) else name


ClassName = Annotated[str, Field(min_length=1), BeforeValidator(as_name)]


# Of DICOM's function LINEAR, whose middle lies half a unit below the center.
Width = Annotated[float, Field(ge=1, strict=True)]


class SplitConfig(Section):
    """How to split images that come without splits, or all but the test images into folds."""

    val_fraction: Fraction
    seed: Seed
    folds: Annotated[int, Field(ge=2, strict=True)] | None
    fold: Annotated[Count, REPETITION]
    inner_val: Flag

    @field_validator("fold")
    @classmethod
    def one_of_the_folds(cls, fold: int, others: ValidationInfo) -> int:
        if "folds" in others.data and fold >= (others.data["folds"] or 1):
            folds = others.data["folds"]
            raise ValueError(f"0 to {folds - 1} (data.split.folds={folds})" if folds else "0 without data.split.folds")
        return fold


class ColumnsConfig(Section):
    """What the columns of a manifest are called; a null one is not read."""

    path: str
    label: str
    split: str | None
    group: str | None


class MedMNISTConfig(Section):
    """Which of the sizes of a data set of MedMNIST, and whether to fetch a file that is not there."""

    size: Literal[28, 64, 128, 224]
    download: Flag


class SimulatedConfig(Section):
    """The simulated images that stand in for a missing default folder; ``counts``: split -> images per class."""

    kind: Literal["skin", "bone", "xray"]
    counts: dict[str, list[AtLeast1]]


def one_group(pattern: str) -> str:
    """The pattern itself. Raises ValueError unless it is a regular expression with one group: the patient."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"a regular expression with one group in parentheses, not {groups}")
    return pattern


# Environment variables that conf/data/ reads for default_root, each the path of a folder: of one data set, or of all.
ROOTS = {"skin": "MEDCLS_SKIN", "bone": "MEDCLS_BONE", "xray": "MEDCLS_XRAY"}
ROOT_VARIABLES = ("MEDCLS_DATA", *ROOTS.values())
GroupPattern = Annotated[str, AfterValidator(one_group)]


class DataConfig(Section):
    """A data set; with ``target`` a function of the user's own, called with ``args``, that returns it."""

    name: str
    target: Annotated[DottedPath | None, Knob(in_name=False)] = Field(default=None, alias="_target_")
    args: dict[str, Any] = Field(default_factory=dict)
    root: Annotated[Location | None, PLACE]
    default_root: Annotated[Location | None, Knob(on_page=False, on_resume=True)]
    classes: Annotated[dict[ClassName, ClassName], Field(min_length=1)] | None
    positive: ClassName | None
    manifest: Annotated[Location | None, PLACE]
    columns: Annotated[ColumnsConfig, Knob(on_page=False)]
    allow_outside_root: Annotated[Flag, MACHINERY]
    group_pattern: GroupPattern | None
    channels: Literal[1, 3]
    window: Literal["file", "percentiles"] | tuple[Number, Width]
    max_pixels: Annotated[int, Field(ge=1, strict=True), MACHINERY]
    on_unreadable: Literal["error", "skip"]
    split: SplitConfig
    train_fraction: Share
    cache_dir: Annotated[Location, Knob(tunes=False, on_page=False, on_resume=True, in_name=False)]
    medmnist: MedMNISTConfig | None
    simulated: SimulatedConfig | None

    @field_validator("args")
    @classmethod
    def of_a_function(cls, args: dict[str, Any], others: ValidationInfo) -> dict[str, Any]:
        if args and others.data.get("target") is None:
            raise ValueError(f"none without data.{KEY}, the function that takes them")
        return args

    @property
    def title(self) -> str:
        """What reports call the data set: the folder's own name says more than "folder"."""
        if self.name == "folder" and self.root is not None:
            return self.root.name
        return data_title(self.name, self.target)

    @property
    def uses_simulation(self) -> bool:
        """Whether simulated images stand in for a default folder that does not exist."""
        return is_simulated(self.model_dump(by_alias=True))


def data_title(name: str, target: str | None) -> str:
    """What the data set is called: by its name, a data=own without one by its function."""
    return target if name == "own" and target is not None else str(name)


def is_simulated(data: Mapping[str, Any]) -> bool:
    """Whether simulated images stand in for a default folder that does not exist; ``data``: that section's values."""
    if any(data.get(key) is not None for key in (KEY, "root", "manifest")) or data["simulated"] is None:
        return False
    return data["default_root"] is not None and not os.path.isdir(os.path.expanduser(data["default_root"]))
