"""The configuration of a run, composed in a program as the commands compose it."""

import threading
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from pydantic import PrivateAttr

from medcls.composition.compose import composed
from medcls.config import Config
from medcls.config.schema import check_against
from medcls.errors import UserError
from medcls.quoting import in_grammar

_composing = threading.Lock()  # Hydra keeps what it composes from in one place for the whole process


class ComposedConfig(Config):
    """A configuration that knows the overrides it was composed from."""

    _overrides: tuple[str, ...] = PrivateAttr(default=())


def compose(*overrides: str, **keys: Any) -> Config:
    """Checked configuration of conf/ with overrides, exactly as ``train.py`` takes them.

    overrides: as on the command line, "model=lenet". keys: the same as Python values, two underscores for a dot, so
    that nothing has to be quoted, ${...} included: data__root=Path("my images"). Values are numbers, text, paths, None,
    true and false, lists, and mappings.
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
    given = {names[key]: as_plain(value, names[key]) for key, value in keys.items()}
    return [*overrides, *(f"{key}={in_grammar(value)}" for key, value in given.items())]


def recorded_overrides(config: Config) -> list[str]:
    """What ``compose`` made the configuration of; nothing where it came another way."""
    return list(config._overrides) if isinstance(config, ComposedConfig) else []


def as_plain(value: Any, key: str) -> Any:
    """A value as configurations hold it. Raises UserError for one that they do not."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {name: as_plain(of, key) for name, of in value.items()}
    if isinstance(value, Sequence):
        return [as_plain(item, key) for item in value]
    raise UserError(
        f"{key}: found a value of type {type(value).__name__}, expected a number, text, a path, None, True or False, "
        "or a list or mapping of these."
    )
