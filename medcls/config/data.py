"""The part of the schema that says which images to use and how to read them."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from medcls.config.section import MACHINERY, REPETITION, Above0, AtLeast1, Count, Flag, Fraction, Knob, Section

PLACE = Knob(on_resume=True, in_name=False)  # where the images are; names of runs tell it by the data set


class SplitConfig(Section):
    """How to split images that come without splits, or all but the test images into folds."""

    val_fraction: Fraction
    seed: Count
    folds: Annotated[int, Field(ge=2, strict=True)] | None
    fold: Annotated[Count, REPETITION]

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


class DataConfig(Section):
    """A data set."""

    name: str
    root: Annotated[Path | None, PLACE]
    default_root: Annotated[Path | None, Knob(on_page=False)]
    classes: dict[str, str] | None
    positive: str | None
    manifest: Annotated[Path | None, PLACE]
    columns: Annotated[ColumnsConfig, Knob(on_page=False)]
    allow_outside_root: Annotated[Flag, MACHINERY]
    group_pattern: str | None
    channels: Literal[1, 3]
    window: Literal["file", "percentiles"] | tuple[float, Above0]
    max_pixels: Annotated[AtLeast1, MACHINERY]
    on_unreadable: Literal["error", "skip"]
    split: SplitConfig
    cache_dir: Annotated[Path, Knob(tunes=False, on_page=False, on_resume=True, in_name=False)]
    medmnist: MedMNISTConfig | None
    simulated: SimulatedConfig | None

    @field_validator("group_pattern")
    @classmethod
    def one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"a regular expression ({error})") from error
        if groups != 1:
            raise ValueError(f"a regular expression with one group in parentheses, not {groups}")
        return pattern

    @property
    def title(self) -> str:
        """What reports call the data set: the folder's own name says more than "folder"."""
        return self.root.name if self.name == "folder" and self.root is not None else self.name
