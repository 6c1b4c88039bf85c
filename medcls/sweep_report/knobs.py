"""Which settings a set of runs varied, found from their configurations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medcls.config.augment import title_of
from medcls.config.knobs import knob
from medcls.config.parts import PARTS

# Groups of the configuration, each known by one of its keys; the others follow from the choice.
_GROUPS = {group: by for group, (by, _) in PARTS.items()} | {"data": "name", "augment": "transforms"}


def derive_knobs(configs: Mapping[Path, Mapping[str, Any]]) -> tuple[tuple[str, ...], dict[Path, dict[str, Any]]]:
    """Keys whose values differ between the configurations, as an override names them, and the values of each run.

    A group that differs counts once (data=skin vs. data=bone), its keys only where they differ within a choice.
    """
    flat = {path: _flatten(config) for path, config in configs.items()}
    keys: list[str] = []
    for group, by in _GROUPS.items():
        key = f"{group}.{by}"
        if len({repr(values.get(key)) for values in flat.values()}) > 1:
            keys.append(group)
            for values in flat.values():
                value = values.pop(key, None)
                values[group] = title_of(value) if group == "augment" and value is not None else value
    for key in dict.fromkeys(key for values in flat.values() for key in values):
        group = key.split(".")[0]
        if key in keys or not knob(key).tunes:
            continue
        within: dict[str, set[str]] = {}
        for values in flat.values():
            choice = repr(values[group]) if group in keys else ""
            within.setdefault(choice, set()).add(repr(values.get(key)))
        if any(len(seen) > 1 for seen in within.values()):
            keys.append(key)
    return tuple(keys), {path: {key: values.get(key) for key in keys} for path, values in flat.items()}


def name_variant(values: Mapping[str, Any]) -> str:
    """Name such as "lr=0.001, n_base=16"; "all runs" where nothing was varied."""
    last = [key.rpartition(".")[2] for key in values]
    short = {key: part if last.count(part) == 1 else key for key, part in zip(values, last, strict=True)}
    return ", ".join(f"{short[key]}={show_value(value)}" for key, value in values.items()) or "all runs"


def show_value(value: Any) -> str:
    """A setting as an override would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and 0 < abs(value) < 0.01:  # as learning rates are written
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def sort_key(values: Mapping[str, Any]) -> list[tuple[int, float, str]]:
    """Order of variants: numbers by size, before names."""
    return [
        (0, float(value), "") if isinstance(value, (int, float)) else (1, 0.0, str(value)) for value in values.values()
    ]


def _flatten(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{above}{key}"
        # Transforms are one setting: their arguments alone would say little.
        if isinstance(value, Mapping) and name != "augment.transforms":
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat
