"""Hydra's composition of the jobs of a sweep."""

import copy
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from medcls.config import Config
from medcls.config.messages import explain_composition, explain_interpolation
from medcls.sweep.grid import FOLD


class Composer:
    """Hydra's composition of conf/config.yaml, with its mistakes in words."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        return OverridesParser.create(config_loader=self.loader).parse_overrides(list(arguments))

    def compose(self, overrides: list[str]) -> DictConfig:
        """Composed configuration, with Hydra's section. Raises UserError for what Hydra refuses."""
        try:
            return self.loader.load_configuration("config", overrides, RunMode.RUN)
        except HydraException as error:
            raise explain_composition(error, Config) from error
        except OmegaConfBaseException as error:
            raise explain_interpolation(error) from error


def folds_left_open(composed: DictConfig, overrides: Sequence[str]) -> list[list[str]]:
    """An override for each fold of a cross-validation, of which none was chosen: one alone would be no such thing.

    A single empty list where there is nothing to add.
    """
    folds = composed.data.split.folds
    if not isinstance(folds, int) or folds < 2 or any(o.lstrip("+").startswith(f"{FOLD}=") for o in overrides):
        return [[]]
    return [[f"{FOLD}={fold}"] for fold in range(folds)]


def with_overrides(composed: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A copy with plain keys changed, for composing anew takes a quarter of a second."""
    changed = copy.deepcopy(composed)
    changed.merge_with_dotlist(list(overrides))
    return changed
