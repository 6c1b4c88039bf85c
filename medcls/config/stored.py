"""Configurations read back from a run or a sweep: plain values that anybody may have written, never code to run."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from medcls.conf_folder import CONF
from medcls.config.messages import explain_invalid
from medcls.config.parts import PARTS
from medcls.config.schema import Config
from medcls.config.targets import check_allowed
from medcls.errors import UserError

HOW = "name it in the command: allow=[{names}]"


# Keys in the configurations of earlier runs that nothing reads any longer, by section.
RETIRED = {
    "audit": (
        *("hash_distance_low", "hash_distance"),
        *("similarity", "similarity_fine", "similarity_moved", "similarity_small"),
    )
}


def check_stored(values: Mapping[str, Any], where: Path, allowed: Collection[str] = ()) -> Config:
    """Typed configuration of the file ``where``; interpolations in it stay text, missing keys are those of conf/.

    allowed: dotted paths of the code that it may name, which its reader is about to run.
    Raises UserError that names the file and each wrong key, or code that is not allowed.
    """
    check_allowed(values, allowed, str(where), HOW)
    try:
        return Config.model_validate(with_defaults(values))
    except ValidationError as error:
        raise UserError(f"{where}: not a configuration of medcls.\n{explain_invalid(error, Config, values)}") from error


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` without ``RETIRED`` keys, and with those of conf/ that came after the run was made."""
    top = read_conf("config")
    groups = {group: choice for line in top["defaults"] if isinstance(line, dict) for group, choice in line.items()}
    filled = {key: value for key, value in top.items() if key not in ("defaults", "hydra", "sweep")} | dict(values)
    for group, choice in groups.items():
        section = values.get(group)
        if not isinstance(section, Mapping) or group.startswith("override"):
            continue
        if group in PARTS:
            choice = section.get(PARTS[group][0], choice)
        elif group == "data":
            choice = "base"
            if isinstance(split := section.get("split"), Mapping) and split.get("folds") is not None:
                section = {**section, "split": {"inner_val": False, **split}}  # as in all folds before it was a key
        kept = {key: value for key, value in section.items() if key not in RETIRED.get(group, ())}
        filled[group] = _filled(kept, read_conf(f"{group}/{choice}"))
    return filled


def _filled(section: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    filled = dict(section)
    for key, value in defaults.items():
        if key not in section:
            filled[key] = value
        elif isinstance(value, Mapping) and isinstance(section[key], Mapping):
            filled[key] = _filled(section[key], value)
    return filled


def read_conf(name: str) -> dict[str, Any]:
    """Plain content of a file of conf/, empty where there is none; what it builds on is not followed."""
    file = CONF / f"{name}.yaml"
    if not file.is_file():
        return {}
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
