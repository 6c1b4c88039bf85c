"""Hydra's composition of the jobs of a sweep."""

import copy
from collections.abc import Sequence
from functools import cache

from hydra import compose
from omegaconf import DictConfig

from medcls.composition.compose import readable_composition, replacing_classes
from medcls.composition.hydra_private import is_group, parse, set_values
from medcls.sweep.variants import FOLD


class Composer:
    """Hydra's composition of conf/config.yaml, with readable errors.

    The composition of each choice of groups is cached, and plain keys are set in a copy, which is Hydra's order too:
    composing anew takes a tenth of a second for each job.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[str, ...], DictConfig] = {}
        self.is_group = cache(is_group)

    def compose(self, overrides: list[str]) -> DictConfig:
        """Composed configuration, with Hydra's section. Raises UserError for what Hydra refuses."""
        with readable_composition(overrides):
            parsed = parse(replacing_classes(overrides))
            groups = tuple(str(o.input_line) for o in parsed if self.is_group(o.key_or_group))
            if groups not in self.kept:
                self.kept[groups] = compose("config", overrides=list(groups), return_hydra_config=True)
            composed = copy.deepcopy(self.kept[groups])
            set_values(composed, [o for o in parsed if str(o.input_line) not in groups])
            return composed


def folds_left_open(composed: DictConfig, overrides: Sequence[str]) -> list[list[str]]:
    """An override for each fold of a cross-validation where the command chooses none: one alone is no cross-validation.

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
