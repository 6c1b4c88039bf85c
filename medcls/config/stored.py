"""Configurations read back from a run or a sweep: plain values that anybody may have written, never code to run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medcls.config.messages import explain_invalid
from medcls.config.schema import Config
from medcls.errors import UserError


def check_stored(values: Mapping[str, Any], where: Path) -> Config:
    """Typed configuration of the file ``where``; interpolations in it stay text.

    Raises UserError that names the file and each wrong key.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: not a configuration of medcls.\n{explain_invalid(error, Config)}") from error
