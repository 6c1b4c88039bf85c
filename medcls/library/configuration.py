"""The configuration of a run, composed in a program as the commands compose it."""

import threading
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from pydantic import PrivateAttr

from medcls.composition.compose import composed
from medcls.config import Config
from medcls.config.schema import check_against
from medcls.errors import UserError

_composing = threading.Lock()  # Hydra keeps what it composes from in one place for the whole process


class ComposedConfig(Config):
    """A configuration that knows the overrides it was composed from."""

    _overrides: tuple[str, ...] = PrivateAttr(default=())


def compose(*overrides: str, **keys: Any) -> Config:
    """Checked configuration of conf/ with overrides, exactly as ``train.py`` takes them.

    overrides: as on the command line, "model=lenet". keys: the same as Python values, two underscores for a dot, so
    that nothing has to be quoted: data__root=Path("my images"). Values are numbers, text, paths, None, true and false,
    lists, and mappings.
    Raises UserError that names each wrong key, as the commands do.

    >>> import medcls
    >>> config = medcls.compose("model=lenet", "augment=study", lr=1e-3, model__n_base=2)
    >>> config.lr, config.model.n_base, config.batch_size
    (0.001, 2, 8)
    >>> medcls.compose(model__n_bse=2)
    Traceback (most recent call last):
    medcls.errors.UserError: model.n_bse: unknown key. Did you mean model.n_base? ...
    """
    lines = overrides_of(*overrides, **keys)
    with _composing:
        config = check_against(ComposedConfig, composed("medcls", lines))
    config._overrides = tuple(lines)
    return config


def overrides_of(*overrides: str, **keys: Any) -> list[str]:
    """All as lines of a command. Raises UserError for a value that no command could be given."""
    for override in overrides:
        if not isinstance(override, str):
            raise UserError(f"compose: found {override!r}, expected overrides such as 'model=lenet' or lr=1e-3.")
    names = {key: key.replace("__", ".") for key in keys}
    return [*overrides, *(f"{names[key]}={as_override(value, names[key])}" for key, value in keys.items())]


def recorded_overrides(config: Config) -> list[str]:
    """What ``compose`` made the configuration of; nothing where it came another way."""
    return list(config._overrides) if isinstance(config, ComposedConfig) else []


def as_override(value: Any, key: str) -> str:
    """A value in the grammar of Hydra's overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return repr(float(value))
    if isinstance(value, str | PurePath):
        return QuotedString(str(value), Quote.single).with_quotes()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{as_override(of, key)}" for name, of in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(as_override(item, key) for item in value) + "]"
    raise UserError(
        f"{key}: found a value of type {type(value).__name__}, expected a number, text, a path, None, True or False, "
        "or a list or mapping of these."
    )
