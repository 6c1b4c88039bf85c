"""The parts of the schema that only medcls pack and medcls verify have, and which other keys they take."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from medcls.config.schema import Config
from medcls.config.section import Above0, Flag, Location
from medcls.predict.schema import check_taken

PACK = ("run", "output", "nets", "images", "keep", "allow", "data.max_pixels")
VERIFY = ("pack", "within", "data.root", "data.max_pixels", "data.allow_outside_root", "allow", "trainer.accelerator")


class ConfigWithPack(Config):
    """The configuration of a run, of which packing takes next to nothing.

    run: run folders or sweeps; output: the file to write; nets, images: whether the checkpoints and the images of
    predictions.csv are packed; keep: names of this machine or its user that may stay, where they mean something else.
    """

    run: Annotated[list[Location], Field(min_length=1)]
    output: Location | None
    nets: Flag
    images: Flag
    keep: list[str]


class ConfigWithVerify(Config):
    """pack: the file to verify; within: how far numbers and probabilities may be from those in it, absolute."""

    pack: Location
    within: Above0


def check_pack_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "pack", PACK)


def check_verify_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "verify", VERIFY)
