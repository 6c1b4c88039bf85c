"""The part of the schema that only medcls robustness has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator

from medcls.config.section import Above0, AtLeast0, Section
from medcls.predict.schema import DECIDED, ConfigWithNets, check_images, check_taken

_TAKEN = (
    *("run", "variant", "output", "robustness", "data", "audit", "allow", "batch_size"),
    *("trainer.accelerator", "trainer.threads", "seed"),
)


class RobustnessConfig(Section):
    """Grades of each edit, mildest first; an empty list leaves the edit out. metric: shown first, and compared.

    noise: standard deviation in gray levels of 255; blur: standard deviation as a share of the image's side; contrast:
    factor on the distance of a pixel from the image's mean, above 1 for more; jpeg: quality; rotation: degrees
    counter-clockwise, below 0 clockwise.
    """

    metric: Literal["auroc", "accuracy", "balanced_accuracy", "f1"]
    noise: list[Annotated[Above0, Field(le=255)]]
    blur: list[Annotated[Above0, Field(le=1)]]
    contrast: list[AtLeast0]
    jpeg: list[Annotated[int, Field(ge=1, le=100, strict=True)]]
    rotation: list[Annotated[float, Field(ge=-180, le=180, strict=True)]]

    @field_validator("noise", "blur", "contrast", "jpeg", "rotation")
    @classmethod
    def are_distinct(cls, grades: list[float]) -> list[float]:
        if twice := [grade for grade in grades if grades.count(grade) > 1]:
            raise ValueError(f"each grade once, {twice[0]:g} too")
        return grades

    @field_validator("contrast", "rotation")
    @classmethod
    def change_images(cls, grades: list[float], info: object) -> list[float]:
        unchanged = 1 if getattr(info, "field_name", "") == "contrast" else 0
        if unchanged in grades:
            raise ValueError(f"grades that change the images, as {unchanged} does not (they are judged unchanged too)")
        return grades


class ConfigWithRobustness(ConfigWithNets):
    """The command takes where images are, how to edit them and where to compute."""

    robustness: RobustnessConfig


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    keys = check_taken(overrides, "robustness", _TAKEN, DECIDED)
    check_images(keys)
    return keys
