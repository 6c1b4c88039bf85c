"""The words of a command line: options, key=value, and what was meant where a word is neither."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from medcls.cli.conf_comments import choices, groups, keys_of, names_of_keys
from medcls.cli.page import CONFIG_DIR, Page
from medcls.errors import UserError

NO_VALUE = "found no value (is a shell variable unset?), expected one."
HYDRA_ANSWERS = ("cfg", "info", "hydra_help", "shell_completion")  # without a run


@dataclass(frozen=True)
class Words:
    """Words of a command: its options by name, all others in order, the folders of --config-dir."""

    options: Mapping[str, str | bool]
    others: list[str]
    config_dirs: list[Path]

    @property
    def asks_hydra(self) -> bool:
        return any(name in self.options for name in HYDRA_ANSWERS)


class Parser(argparse.ArgumentParser):
    """ArgumentParser that raises UserError."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}.")


def take_apart(words: Sequence[str], page: Page, called: str) -> Words | None:
    """Options and other words; None where help is asked for. Raises UserError for a word that is neither."""
    if "-h" in words or "--help" in words or (list(words[:1]) == ["help"] and not Path("help").is_file()):
        return None
    parser = Parser(prog=called, add_help=False, allow_abbrev=False)
    parser.add_argument("others", nargs="*")
    for option in page.options:
        if option is CONFIG_DIR:
            parser.add_argument(*option.flags, action="append", default=[])
        elif option.value is None:
            parser.add_argument(*option.flags, action="store_true", default=argparse.SUPPRESS)
        else:
            parser.add_argument(*option.flags, default=argparse.SUPPRESS)
    parsed, unknown = parser.parse_known_intermixed_args(list(words))
    if unknown:
        raise UserError(explain_option(unknown[0], words, page, called))
    given = vars(parsed)
    others, named = given.pop("others"), given.pop("config_dir", [])
    if page.config is not None:  # completion takes empty words
        check_not_empty(given | ({"config-dir": ""} if "" in named else {}), others)
    config_dirs = [Path(folder) for folder in named]
    for folder in config_dirs:
        if not folder.is_dir():
            raise UserError(
                f"--config-dir: no folder {folder}. Expected one that holds groups, such as {folder}/model."
            )
    if not page.bare_words:
        for word in others:
            if "=" not in word and not word.startswith("~"):
                raise UserError(explain_word(word, called))
    return Words(given, others, config_dirs)


def check_not_empty(options: Mapping[str, str | bool], others: Sequence[str]) -> None:
    """Raise UserError for a key or an option without a value: most often a shell variable that is not set."""
    for name, given in options.items():
        if given == "":
            raise UserError(f"--{name.replace('_', '-')}: {NO_VALUE}")
    for word in others:
        key, equals, value = word.partition("=")
        if not word.strip() or (equals and value.strip() in ("", "''", '""') and ".args." not in key):
            raise UserError(f"{key or repr(word)}: {NO_VALUE}")


def explain_option(word: str, words: Sequence[str], page: Page, called: str) -> str:
    """What was meant by an unknown word with dashes: most often a key."""
    name, equals, value = word.lstrip("-").partition("=")
    names = {key.replace("_", "-"): key for key in names_of_keys()} if page.config else {}
    nearest = get_close_matches(name.replace("_", "-"), names, n=1, cutoff=0.75)
    if not nearest:
        options = ", ".join(option.flags[-1] for option in page.options)
        return f"{word}: unknown option. Options: {options}. Keys are set without dashes: {called} lr=1e-4"
    following = list(words[words.index(word) + 1 :])[:1] if not equals else [value]
    value = following[0] if following and not following[0].startswith("-") else "<value>"
    return f"{word}: keys are set without dashes: {called} {names[nearest[0]]}={value}"


def explain_word(word: str, called: str) -> str:
    """What was meant by a word that is not key=value: a choice or a key."""
    if of := [group for group in groups() if word in choices(group) and word not in ("none", "default")]:
        return f"{word}: found a word alone, expected key=value. Did you mean {of[0]}={word}?"
    names = names_of_keys()
    key = word if word in names else next(iter(get_close_matches(word, names, n=1, cutoff=0.75)), None)
    if key is None:
        return f"{word}: found a word alone, expected key=value, such as lr=1e-4. Help: {called} --help"
    default = known.default if (known := keys_of("config").get(key)) else ""
    return f"{word}: found no value, expected {key}={default or '<value>'}"
