"""The part of the schema that only medcls sheet has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from medcls.config.schema import Config
from medcls.config.section import Location
from medcls.predict.schema import check_taken

OWN = ("run", "output", "external", "maps", "robustness")


class ConfigWithSheet(Config):
    """The configuration of a run, of which a sheet takes nothing.

    run: folder of one run or one sweep; output: folder for what is written; external: folders of medcls predict; maps:
    folder of medcls explain; robustness: of medcls robustness.
    """

    run: Annotated[list[Location], Field(min_length=1, max_length=1)]
    output: Location | None
    external: list[Location]
    maps: Location | None
    robustness: Location | None


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "sheet", OWN)
