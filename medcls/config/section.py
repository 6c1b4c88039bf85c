"""What every part of the schema is made of: sections that know all their keys, and numbers with their ranges."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Strict, since pydantic would take true for 1 and "8" for 8.
Number = Annotated[float, Field(strict=True)]
MOST = 2**31 - 1  # of anything that is counted: C libraries take no more
AtLeast1 = Annotated[int, Field(ge=1, le=MOST, strict=True)]
Count = Annotated[int, Field(ge=0, le=MOST, strict=True)]
Seed = Annotated[int, Field(ge=0, strict=True)]
Above0 = Annotated[float, Field(gt=0, strict=True)]
AtLeast0 = Annotated[float, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Rate = Annotated[float, Field(ge=0, lt=1, strict=True)]
Fraction = Annotated[float, Field(gt=0, lt=1, strict=True)]
Share = Annotated[float, Field(gt=0, le=1, strict=True)]


def not_empty(path: object) -> object:
    """The path itself. Raises ValueError for an empty one, which would be taken for the working folder."""
    if path == "":
        raise ValueError("a path (. is the working folder)")
    return path


Location = Annotated[Path, BeforeValidator(not_empty)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


@dataclass(frozen=True)
class Knob:
    """What a key, or a section with all its keys, means for a run, beside its type: metadata of a field of the schema.

    tunes: runs that differ in it are variants, since another value asks another question; else it only decides where,
    how fast or how often the same is computed. on_resume: a resumed run may change it. in_name: it is part of the name
    of a run that sets it. on_page: it has a column of its own on the HPARAMS page of TensorBoard.
    """

    tunes: bool = True
    on_resume: bool = False
    in_name: bool = True
    on_page: bool = True


MACHINERY = Knob(tunes=False, on_page=False)  # where and how fast a run is computed, and what is shown of it
UNNAMED = Knob(tunes=False, on_page=False, in_name=False)  # likewise, and no part of a run's name
UNSEEN = Knob(tunes=False, on_page=False, in_name=False, on_resume=True)  # likewise, whatever is computed
REPETITION = Knob(tunes=False)  # the same question asked again: another seed, another fold
