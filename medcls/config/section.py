"""What every part of the schema is made of: sections that know all their keys, and numbers with their ranges."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Strict, since pydantic would take true for 1 and "8" for 8.
AtLeast1 = Annotated[int, Field(ge=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Above0 = Annotated[float, Field(gt=0, strict=True)]
AtLeast0 = Annotated[float, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
