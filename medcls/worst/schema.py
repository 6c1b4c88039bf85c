"""The part of the schema that only medcls errors has, and which other keys it takes: the run decides the rest."""

from collections.abc import Sequence

from medcls.config.section import AtLeast1, Section
from medcls.predict.schema import ConfigWithNets, check_taken

_TAKEN = (
    *("run", "variant", "output", "errors", "threshold", "allow"),
    *("data.root", "data.cache_dir"),
)


class ErrorsConfig(Section):
    """images: how many errors, and how many doubtful labels, are shown at most."""

    images: AtLeast1


class ConfigWithErrors(ConfigWithNets):
    """The command takes where the images of its runs are now."""

    errors: ErrorsConfig


def check_keys(overrides: Sequence[str]) -> set[str]:
    """Keys that the overrides name. Raises UserError for one that would have no effect."""
    return check_taken(overrides, "errors", _TAKEN)
