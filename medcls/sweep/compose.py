"""Hydra's composition of the jobs of a sweep."""

import copy
from collections.abc import Sequence
from functools import cache

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from medcls.config import Config
from medcls.config.messages import explain_composition, explain_interpolation
from medcls.sweep.variants import FOLD


class Composer:
    """Hydra's composition of conf/config.yaml, with its mistakes in words.

    What the choices of groups make is kept and the plain keys are set in a copy, which Hydra does in that order too:
    composing anew takes a tenth of a second for each job.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self.kept: dict[tuple[str, ...], DictConfig] = {}
        self.is_group = cache(lambda key: bool(loader.get_group_options(key)))

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        return OverridesParser.create(config_loader=self.loader).parse_overrides(list(arguments))

    def compose(self, overrides: list[str]) -> DictConfig:
        """Composed configuration, with Hydra's section. Raises UserError for what Hydra refuses."""
        try:
            parsed = self.parse(overrides)
            groups = tuple(str(o.input_line) for o in parsed if self.is_group(o.key_or_group))
            if groups not in self.kept:
                self.kept[groups] = self.loader.load_configuration("config", list(groups), RunMode.RUN)
            composed = copy.deepcopy(self.kept[groups])
            plain = [o for o in parsed if str(o.input_line) not in groups]
            ConfigLoaderImpl._apply_overrides_to_config(plain, composed)
            return composed
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
    """A copy with plain keys changed."""
    changed = copy.deepcopy(composed)
    changed.merge_with_dotlist(list(overrides))
    return changed
