"""The part of the schema that only medcls explain has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from medcls.config.schema import Config
from medcls.config.section import AtLeast1, Flag, Section
from medcls.predict.schema import check_taken

_TAKEN = ("run", "variant", "output", "explain", "data", "allow", "trainer.accelerator", "trainer.threads", "seed")


class ExplainConfig(Section):
    """method: how maps are made; images: how many are shown at most, evenly spaced over all.

    retrain: whether to train the net anew, on shuffled labels, as a check.
    """

    method: Literal["hires_cam", "grad_cam", "integrated_gradients"]
    images: AtLeast1
    retrain: Flag


class ConfigWithExplain(Config):
    """The configuration of a run, of which explaining takes where images are and where to compute.

    run: runs, a sweep or checkpoints; variant: of a sweep; output: folder for what is written.
    """

    run: Annotated[list[Path], Field(min_length=1)]
    variant: str | None
    output: Path | None
    explain: ExplainConfig


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "explain", _TAKEN)
