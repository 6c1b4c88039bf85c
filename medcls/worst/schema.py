"""The part of the schema that only medcls errors has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from medcls.config.schema import Config
from medcls.config.section import AtLeast1, Section
from medcls.predict.schema import check_taken

_TAKEN = (
    *("run", "variant", "output", "errors", "threshold", "allow"),
    *("data.root", "data.cache_dir"),
)


class ErrorsConfig(Section):
    """images: how many errors, and how many doubtful labels, are shown at most."""

    images: AtLeast1


class ConfigWithErrors(Config):
    """The configuration of a run, of which the command takes where its images are now.

    run: runs or a sweep; variant: of a sweep; output: folder for what is written.
    """

    run: Annotated[list[Path], Field(min_length=1)]
    variant: str | None
    output: Path | None
    errors: ErrorsConfig


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "errors", _TAKEN)
