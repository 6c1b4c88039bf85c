"""Keys, defaults and meanings as the files of conf/ give them. Does not import Hydra, for a fast --help."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from medcls.conf_folder import CONF, own_folders

LINE = re.compile(r"^( *)([A-Za-z_]\w*):(?: +([^#\s].*?))?(?: +# (.*))?$")


@dataclass(frozen=True)
class Key:
    """A key with its default as the file writes it, empty for a section, and the comment beside it."""

    default: str
    meaning: str


def keys_of(config_name: str) -> dict[str, Key]:
    """Every key of a primary configuration such as "config" with the default choice of each group, by dotted name.

    A group such as model is a key too; its meaning is the first line of its default choice.
    """
    keys: dict[str, Key] = {}
    for group, choice in default_choices(config_name).items():
        if choice is None:
            keys[group] = Key("null", f"one of {', '.join(choices(group))}")
            continue
        file = CONF / group / f"{choice}.yaml"
        others = [name for name in choices(group) if name != choice]
        keys[group] = Key(choice, first_comment(file) + (f"; or {', '.join(others)}" if others else ""))
        keys |= {f"{group}.{name}": key for name, key in keys_of_file(file).items()}
    for name in (*(base for base in bases(CONF / f"{config_name}.yaml") if base != config_name), config_name):
        keys |= {key: value for key, value in keys_of_file(CONF / f"{name}.yaml").items() if key not in keys}
    return keys


def names_of_keys() -> set[str]:
    """Dotted names of the keys of all choices of all groups."""
    names = set().union(*(keys_of(file.stem) for file in sorted(CONF.glob("*.yaml"))))
    for group in groups():
        for file in files_of(group).values():
            names |= {f"{group}.{name}" for name in keys_of_file(file)}
    return names


def groups() -> list[str]:
    """Names of the groups, in the order of conf/config.yaml."""
    return list(default_choices("config"))


def choices(group: str) -> list[str]:
    """Names of the choices of a group, the user's own included, without ``base``, which others build on."""
    return sorted(name for name in files_of(group) if name != "base")


def files_of(group: str) -> dict[str, Path]:
    """Choice -> its file; conf/ wins over the user's folders, as in Hydra."""
    found = [file for folder in reversed([CONF, *own_folders()]) for file in (folder / group).glob("*.yaml")]
    return {file.stem: file for file in found}


def default_choices(config_name: str) -> dict[str, str | None]:
    """Group -> default choice."""
    chosen: dict[str, str | None] = {}
    for default in defaults(CONF / f"{config_name}.yaml"):
        if isinstance(default, str) and default not in ("_self_", config_name):
            chosen |= default_choices(default)
        elif isinstance(default, dict):
            chosen |= {group.removeprefix("override ").strip("/"): name for group, name in default.items()}
    return {group: name for group, name in chosen.items() if not group.startswith("hydra/")}


def bases(file: Path) -> list[str]:
    """Files beside it that a file builds on."""
    return [default for default in defaults(file) if isinstance(default, str) and default != "_self_"]


@cache
def defaults(file: Path) -> list[str | dict[str, str | None]]:
    """The defaults list of a file."""
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    listed: list[str | dict[str, str | None]] = content.get("defaults", [])
    return listed


def keys_of_file(file: Path) -> dict[str, Key]:
    """Keys of a file and of those that it builds on."""
    keys: dict[str, Key] = {}
    for base in bases(file):
        keys |= keys_of_file(file.with_name(f"{base}.yaml"))
    for name, key in lines_of(file):
        keys[name] = Key(key.default, key.meaning or (keys[name].meaning if name in keys else ""))
    return keys


def lines_of(file: Path) -> Iterator[tuple[str, Key]]:
    """Dotted name and key of each line that sets one; its comment may stand above it where the line is long."""
    path: list[tuple[int, str]] = []
    above = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if found := LINE.match(line):
            indent = len(found[1])
            path = [*((depth, name) for depth, name in path if depth < indent), (indent, found[2])]
            if path[0][1] != "defaults":
                yield ".".join(name for _, name in path), Key(found[3] or "", found[4] or above)
        above = line.strip().removeprefix("# ") if line.startswith(" ") and line.strip().startswith("# ") else ""


def first_comment(file: Path) -> str:
    """What a file says it is."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and not line.startswith("# @package"):
            return line.removeprefix("# ")
    return ""
