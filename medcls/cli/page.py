"""The --help page of a command; keys, defaults and meanings are read from conf/."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from medcls.cli.conf_comments import keys_of
from medcls.conf_folder import CONF

WIDTH, COLUMN = 80, 28  # of a page, and where its second column begins


@dataclass(frozen=True)
class Option:
    """A word with dashes; ``value``: what follows it, None where nothing does."""

    flags: tuple[str, ...]
    value: str | None
    meaning: str


HELP = Option(("-h", "--help"), None, "show this help")
CONFIG_DIR = Option(
    ("--config-dir",), "DIR", "a folder of your own choices, such as DIR/model/mine.yaml; conf/ here is searched too"
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A command: what it does, what may follow it, the keys worth knowing, examples (words, what they do).

    config: file of conf/ whose keys the command takes, if any; bare_words: words without = may follow.
    """

    about: str
    examples: Sequence[tuple[str, str]]
    config: str | None = "config"
    keys: Sequence[str] = ()
    words: str = "[key=value ...]"
    bare_words: bool = False
    own_options: Sequence[Option] = ()
    imports_torch: bool = True

    @property
    def options(self) -> list[Option]:
        return [*self.own_options, *([CONFIG_DIR] if self.config else []), HELP]

    def text(self, called: str) -> str:
        """The help page; ``called``: what was typed to call the command."""
        parts = [f"usage: {called} {self.words}", self.about]
        if self.config is not None:
            known = keys_of(self.config)
            rows = [row(shown(key, known[key].default), known[key].meaning) for key in self.keys]
            rest = f"All keys and their meanings: {CONF / self.config}.yaml and the files that it names"
            parts.append("\n".join(["Keys that matter, with their defaults:", *rows, "", rest]))
        rows = [row(f"{', '.join(option.flags)} {option.value or ''}", option.meaning) for option in self.options]
        parts.append("\n".join(["Options:", *rows]))
        parts.append("\n".join(["Examples:", *(f"  {called} {words}\n      {does}" for words, does in self.examples)]))
        return "\n\n".join(parts)


def shown(key: str, default: str) -> str:
    """A key with its default, unless that is computed."""
    return key if "${" in default or not default else f"{key}={default}"


def row(left: str, right: str) -> str:
    """Two columns; the second on the next line where the first is long."""
    lines = textwrap.wrap(right, WIDTH - COLUMN, break_long_words=False, break_on_hyphens=False) or [""]
    head = f"  {left.rstrip()}"
    together = len(head) < COLUMN - 1
    first = f"{head:<{COLUMN}}{lines[0]}" if together else head
    return "\n".join([first, *(f"{'':{COLUMN}}{line}" for line in lines[together:])]).rstrip()
