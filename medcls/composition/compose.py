"""Hydra's composition of conf/ and the user's own folders, with readable errors."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from hydra import compose, initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from medcls.composition import hydra_private
from medcls.composition.refused import explain_composition
from medcls.composition.run_name import register_resolvers
from medcls.conf_folder import CONF, own_folders
from medcls.config.data import ROOT_VARIABLES
from medcls.config.messages import explain_interpolation, names_in
from medcls.config.schema import Checked, Config, check_against
from medcls.errors import UserError

VERSION = "1.3"  # Hydra's version_base: the version whose defaults apply
CLASSES = "data.classes"
FOLDERS = (*ROOT_VARIABLES, "MEDCLS_CACHE")  # environment variables that conf/ reads
NO_CLASSES = f"{CLASSES}=null"


class OwnFolders(SearchPathPlugin):
    """Has Hydra search the user's folders after conf/, however it is started; overrides and run names stay as typed."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in own_folders():
            search_path.append(provider="medcls-own", path=f"file://{folder}")


def check_environment() -> None:
    """Raise UserError for an empty environment variable that conf/ reads: data/Bone would become /Bone."""
    for name in FOLDERS:
        if os.environ.get(name) == "":
            raise UserError(
                f"{name}: found an empty environment variable, expected a folder.\n  Name one, or: unset {name}"
            )


def prepare_hydra() -> None:
    """Make medcls's resolvers and the user's folders known to Hydra, before it is initialized.

    Raises UserError as ``check_environment`` does.
    """
    check_environment()
    register_resolvers()
    Plugins.instance().register(OwnFolders)


def composed(
    job: str, overrides: Sequence[str], config_name: str = "config", schema: type[Config] = Config
) -> DictConfig:
    """What Hydra composes of conf/, for a command that Hydra does not run. Raises UserError for what it refuses."""
    prepare_hydra()
    with (
        readable_composition(overrides, config_name, schema),
        initialize_config_dir(str(CONF), job_name=job, version_base=VERSION),
    ):
        return compose(config_name, overrides=replacing_classes(overrides))


def checked(schema: type[Checked], job: str, overrides: Sequence[str], config_name: str) -> Checked:
    """The same, typed. Raises UserError also for values that ``schema`` refuses."""
    return check_against(schema, composed(job, overrides, config_name, schema))


def replacing_classes(overrides: Sequence[str]) -> list[str]:
    """Overrides for Hydra, which would merge given classes with those that a data set comes with, not replace them.

    Raises UserError for a class that is given twice, of which Hydra would keep the last.
    """
    result = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key == CLASSES and value.startswith("{"):
            check_given_once(value)
            result.append(NO_CLASSES)
        result.append(override)
    return result


def as_typed(overrides: Sequence[str]) -> list[str]:
    """Overrides as they were before ``replacing_classes``."""
    following = [*overrides[1:], ""]
    return [
        override
        for override, after in zip(overrides, following, strict=True)
        if override != NO_CLASSES or not after.startswith(f"{CLASSES}={{")
    ]


def check_given_once(mapping: str) -> None:
    """Raise UserError where a mapping of classes, as typed, has a key twice."""
    for one in re.findall(r"\{([^{}]*)\}", mapping):
        keys = [key.strip() for key in re.findall(r"(?:^|,)([^:,]*):", one)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise UserError(f"{CLASSES}: {twice[0]!r} is given twice in {mapping}. Expected one class for each.")


@contextmanager
def readable_composition(
    overrides: Sequence[str], config_name: str = "config", schema: type[Config] = Config
) -> Iterator[None]:
    """Raise UserError for what Hydra refuses of these overrides in the block."""
    try:
        yield
    except HydraException as error:
        raise explained(error, overrides, config_name, schema) from error
    except OmegaConfBaseException as error:  # in the name of the run folder
        raise explain_interpolation(error) from error
    except ValueError as error:
        if (message := hydra_private.explain_value_error(error)) is None:
            raise
        raise UserError(message) from error


def explained(
    error: HydraException, overrides: Sequence[str], config_name: str = "config", schema: type[Config] = Config
) -> UserError:
    """What Hydra refused of these overrides, with the nearest right name among the keys of the chosen groups."""
    try:
        # Hydra is no longer initialized where its own main failed, but still is within a sweep.
        begun = GlobalHydra.instance().is_initialized()
        with nullcontext() if begun else initialize_config_dir(str(CONF), version_base=VERSION):
            groups = [
                str(override.input_line)
                for override in hydra_private.parse(overrides)
                if hydra_private.is_group(override.key_or_group) and not override.is_sweep_override()
            ]
            chosen = compose(config_name, overrides=groups)
    except (HydraException, ValueError):  # it is the choice that was refused
        return explain_composition(error, schema, [])
    return explain_composition(error, schema, names_in(OmegaConf.to_container(chosen, resolve=False)))
