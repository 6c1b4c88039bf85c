"""The part of the schema that only medcls predict has, and which other keys it takes: the run decides the rest."""

from collections.abc import Collection, Sequence
from typing import Annotated

from pydantic import Field

from medcls.config.messages import did_you_mean
from medcls.config.schema import Config
from medcls.config.section import Flag, Location
from medcls.errors import UserError

OWN = ("run", "variant", "output", "labelled", "calibrate", "threshold")
_TAKEN = (*OWN, "data", "audit", "allow", "batch_size", "trainer.accelerator", "trainer.threads")
# How images are made into what the net was trained on, and what training alone needs.
DECIDED = tuple(
    f"data.{name}" for name in ("channels", "window", "split", "positive", "on_unreadable", "simulated", "default_root")
)


class ConfigWithNets(Config):
    """The configuration of a command on trained nets, of which each command takes a few keys.

    run: runs, sweeps or checkpoints; variant: of a sweep; output: folder or file for what is written.
    """

    run: Annotated[list[Location], Field(min_length=1)]
    variant: str | None
    output: Location | None


class ConfigWithPredict(ConfigWithNets):
    """Predicting takes where the images are and where to compute.

    labelled: whether the images have classes, None where that is to be found out; calibrate: whether the temperature of
    the runs is used.
    """

    labelled: Flag | None
    calibrate: Flag


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    which = " or keys of data and audit that say which images to judge"
    return check_taken(overrides, "predict", _TAKEN, DECIDED, which)


def check_taken(
    overrides: Sequence[str], command: str, taken: Sequence[str], decided: Sequence[str] = (), more: str = ""
) -> set[str]:
    """Keys that the overrides name. Raises UserError for one outside of ``taken``, or among those ``decided``."""
    keys = {override.partition("=")[0].lstrip("+~") for override in overrides}
    for key in sorted(keys):
        if any(_within(key, one) for one in decided) or not any(_within(key, one) for one in taken):
            why = f"not for {command}, where the run decides it."
            if key.partition(".")[0] not in Config.model_fields:
                why = f"not a key of {command}.{did_you_mean(key, taken)}"
            raise UserError(f"{key}: {why} Expected {', '.join(taken)}{more}.")
    return keys


def _within(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def check_images(keys: Collection[str]) -> None:
    """Raise UserError for a key that says how to read images where none are named, and those of the run are judged."""
    own = ("data.cache_dir", "data.max_pixels")
    useless = [key for key in sorted(keys) if key.startswith(("data.", "audit")) and key not in own]
    if useless and not names_images(keys):
        raise UserError(
            f"{useless[0]}: says how to read images of data.root, which is missing. Name the images: data.root=..."
        )


def names_images(keys: Collection[str]) -> bool:
    """Whether the keys of a command name images to judge; else those of the run are judged."""
    return not {"data", "data.root", "data.manifest"}.isdisjoint(keys)
