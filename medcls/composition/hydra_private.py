"""All that medcls uses of Hydra beyond its documented interface; tests/test_hydra_private.py fails when it changes.

Everything here needs an initialized Hydra (``hydra.initialize_config_dir`` or ``hydra.main``), except the readers of
error texts, which are here because Hydra's exceptions tell only in their text what was refused.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig


def parse(overrides: Sequence[str]) -> list[Override]:
    """Overrides of a command line. Raises OverrideParseException."""
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))


def is_group(key: str) -> bool:
    """Whether a key, such as model or hydra/launcher, is a group of which files are choices."""
    return bool(GlobalHydra.instance().config_loader().get_group_options(key))


def set_values(composed: DictConfig, overrides: Sequence[Override]) -> None:
    """Apply overrides of plain keys to a composed configuration; composing it anew would take a tenth of a second."""
    ConfigLoaderImpl._apply_overrides_to_config(list(overrides), composed)


def multirun(config_name: str, task: Callable[[DictConfig], Any], overrides: Sequence[str]) -> None:
    """Have the chosen launcher run ``task`` once for each combination of swept overrides."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    hydra.multirun(config_name, task, list(overrides))


def refused_key(error: HydraException) -> str | None:
    """The key that could not be overridden, deleted or added, where that is what the error says."""
    found = re.search(
        r"(?:Could not override|Could not delete from config\.|Key) '([^']+)'", str(error) or str(error.__cause__)
    )
    return found[1].split("@")[0] if found else None


def swept_override(error: HydraException) -> str | None:
    """The override that names several values where one is expected, where that is what the error says."""
    found = re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'", str(error))
    return found[1] if found else None


def unmerged_key(error: HydraException) -> str | None:
    """The key whose value is of another kind than its default, where that is what the error says."""
    found = re.search(r"Error merging override \+*(.+?)=", str(error))
    return found[1] if found else None


# Words by which to recognize a bare ValueError of Hydra or one of its plug-ins, and the message for it.
VALUE_ERRORS = {
    "Config group override must be": "A group cannot be null. Name one of its choices: scheduler=none",
    "No trials are completed": "hydra/sweeper: no trial of the search finished; the reasons are above.",
}


def explain_value_error(error: ValueError) -> str | None:
    """Message for a ValueError that comes from a mistake of the user's; None for any other."""
    return next((message for words, message in VALUE_ERRORS.items() if words in str(error)), None)
