"""The part of the schema that only medcls explain has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from typing import Literal

from medcls.config.section import AtLeast1, Flag, Section
from medcls.predict.schema import DECIDED, ConfigWithNets, check_images, check_taken

_TAKEN = ("run", "variant", "output", "explain", "data", "allow", "trainer.accelerator", "trainer.threads", "seed")


class ExplainConfig(Section):
    """method: how maps are made; images: how many are shown at most, evenly spaced over all.

    retrain: whether to retrain the net on shuffled labels, as a check.
    """

    method: Literal["hires_cam", "grad_cam", "integrated_gradients"]
    images: AtLeast1
    retrain: Flag


class ConfigWithExplain(ConfigWithNets):
    """Explaining takes where images are and where to compute."""

    explain: ExplainConfig


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    keys = check_taken(overrides, "explain", _TAKEN, DECIDED)
    check_images(keys)
    return keys
