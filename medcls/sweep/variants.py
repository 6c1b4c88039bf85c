"""From a command line and an experiment to variants: which keys differ, their values, their names."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import Override, QuotedString

from medcls.config.schema import SweepConfig
from medcls.errors import UserError
from medcls.host.terminal import command_line
from medcls.quoting import in_grammar

Values = dict[str, Any]
FOLD = "data.split.fold"
# Swept to repeat every variant, not to distinguish variants.
REPETITIONS = ("seed", FOLD)
NAMED_BY_VALUE = ("model", "data", "experiment")  # "vgg16" is clear by itself, "none" of augment is not


@dataclass(frozen=True)
class Variant:
    """One setting of the swept keys; ``values``: key, with the + of an added key, -> value."""

    name: str
    values: Values


def in_overrides(values: Values) -> list[str]:
    """Keys and values as overrides of the command line."""
    return [f"{key}={in_grammar(value, literal=False)}" for key, value in values.items()]


def swept_values(override: Override) -> list[Any]:
    """Values of a choice, range or glob in the order given; a fixed override has one.

    Raises UserError for an interval, which has no finite list of values.
    """
    if not override.is_sweep_override():
        return [plain(override.value())]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line}: an interval is searched, not swept. Expected values such as "
            f"{override.key_or_group}=1e-3,1e-4.\n  To search: {command_line('train')} -m hydra/sweeper=search ..."
        )
    return [plain(value) for value in override.sweep_iterator()]


def plain(value: Any) -> Any:
    """A value from Hydra's parser without its quotes."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def readable(value: Any) -> str:
    """A value as shown in names and tables: 1e-5 however it was written, with as many digits as it has."""
    if isinstance(value, float):
        exponential = re.sub(r"\.?0*e([+-])0*(?=.)", lambda found: f"e{found[1].strip('+')}", f"{value:e}")
        return min((text for text in (f"{value:g}", exponential, repr(value)) if float(text) == value), key=len)
    return value if isinstance(value, str) else in_grammar(value, literal=False)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Last part of each key, the whole key if another has the same last part."""
    keys = list(keys)
    last = [key.lstrip("+").rpartition(".")[2] for key in keys]
    return {key: end if last.count(end) == 1 else key.lstrip("+") for key, end in zip(keys, last, strict=True)}


def vary(sweep: SweepConfig, overrides: Sequence[Override]) -> tuple[list[Variant], list[Values], list[str]]:
    """Variants, the seeds and folds that each is repeated with (a single empty setting: once), and swept keys.

    overrides: those of the command line; each replaces the experiment's values for its key.
    Raises UserError for a key without values.
    """
    given = {override.get_key_element(): swept_values(override) for override in overrides if not override.is_delete()}
    bare = {key.lstrip("+") for key in given}
    axes = {key: values for key, values in sweep.grid.items() if key.lstrip("+") not in bare}
    axes |= {key: values for key, values in given.items() if len(values) > 1}
    if empty := [key for key, values in axes.items() if not values]:
        raise UserError("\n".join(f"sweep.grid.{key}: found no values, expected at least one." for key in empty))
    repeated = {key: axes.pop(key) for key in REPETITIONS if key in axes}
    repetitions = [dict(zip(repeated, values, strict=True)) for values in itertools.product(*repeated.values())]
    named = {
        name: {key: value for key, value in values.items() if key.lstrip("+") not in bare}
        for name, values in (sweep.variants or {"": {}}).items()
    }
    varied = [key for key, values in axes.items() if len(values) > 1]
    keys = list(dict.fromkeys([key for values in named.values() for key in values] + varied))
    variants = [
        Variant(variant_name(name, axes, values), named[name] | dict(zip(axes, values, strict=True)))
        for name in named
        for values in itertools.product(*axes.values())
    ]
    return variants, repetitions, keys


def variant_name(name: str, axes: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> str:
    """Name such as "lr=1e-5, n_base=8", after the name that the experiment gives the variant, if any."""
    varied = {key: value for (key, all_values), value in zip(axes.items(), values, strict=True) if len(all_values) > 1}
    short = short_names(varied)
    settings = [f"{short[key]}={readable(value)}" for key, value in varied.items()]
    return ", ".join([name, *settings] if name else settings)


def folder_part(variant: Variant, keys: Sequence[str], named: bool) -> str:
    """The variant's part of a folder's name: without the = and , that break Hydra's overrides."""
    if named:
        return slug(variant.name)
    short = short_names(keys)
    parts = [
        readable(variant.values[key]) if key in NAMED_BY_VALUE else f"{short[key]}-{readable(variant.values[key])}"
        for key in keys
    ]
    return slug("_".join(parts))


def slug(text: str) -> str:
    """The text as part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", re.sub(r", +", "_", text)).strip("-")
