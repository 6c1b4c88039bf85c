"""The part of the schema that only python -m medcls.preview has: which transforms it shows."""

from typing import Annotated

from pydantic import Field, field_validator

from medcls.config.schema import Config
from medcls.config.section import Above0, AtLeast1, Count, Number, Section

AtLeastOne = Field(min_length=1)
Percentile = Annotated[float, Field(ge=0, le=100, strict=True)]


class PreviewConfig(Section):
    """What is done to the image: values of each fixed transform, and how many epochs of random changes."""

    index: Count
    epochs: AtLeast1
    scale: Annotated[list[Above0], AtLeastOne]
    rotate: Annotated[list[Number], AtLeastOne]
    percentiles: Annotated[list[tuple[Percentile, Percentile]], AtLeastOne]

    @field_validator("percentiles")
    @classmethod
    def low_below_high(cls, pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
        if any(low >= high for low, high in pairs):
            raise ValueError("pairs of a low and a higher percentile, such as [[2, 98]]")
        return pairs


class ConfigWithPreview(Config):
    """The configuration of a run, of which the preview takes what its data and augmentation say."""

    preview: PreviewConfig
