"""The part of the schema that only medcls export has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from medcls.config.schema import Config
from medcls.errors import UserError

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
    keys = [override.partition("=")[0].lstrip("+~") for override in overrides]
    for key in keys:
        if not any(key == taken or key.startswith(f"{taken}.") for taken in _TAKEN):
            raise UserError(f"{key}: not for export, where the run decides it. Expected {', '.join(_TAKEN)}.")
    return set(keys)
