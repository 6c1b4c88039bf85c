"""The part of the schema that only medcls export has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from typing import Literal

from medcls.predict.schema import ConfigWithNets, check_taken

OWN = ("run", "variant", "output", "format", "threshold")
_TAKEN = (*OWN, "allow", "data.max_pixels")


class ConfigWithExport(ConfigWithNets):
    """Exporting takes next to nothing; output: the file to write."""

    format: Literal["onnx", "torch"]


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "export", _TAKEN)
