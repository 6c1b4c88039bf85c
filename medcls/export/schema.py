"""The part of the schema that only medcls export has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from medcls.config.schema import Config
from medcls.predict.schema import check_taken

OWN = ("run", "variant", "output", "format", "threshold")
_TAKEN = (*OWN, "allow", "data.max_pixels")


class ConfigWithExport(Config):
    """The configuration of a run, of which exporting takes next to nothing.

    run: runs, sweeps or checkpoints; variant: of a sweep; output: the file to write.
    """

    run: Annotated[list[Path], Field(min_length=1)]
    variant: str | None
    output: Path | None
    format: Literal["onnx", "torch"]


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "export", _TAKEN)
