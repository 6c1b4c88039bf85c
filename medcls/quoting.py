"""Settings as they are typed: in the grammar of Hydra's overrides, and quoted for the shell."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any


def in_grammar(value: Any, *, literal: bool = True) -> str:
    """A plain value as Hydra's grammar of overrides writes it; literal: ``${...}`` in it stays text.

    Keys of mappings come back as Hydra reads them, "1" as a number: its grammar has no quotes for them.
    """
    if isinstance(value, list | tuple):
        return f"[{','.join(in_grammar(item, literal=literal) for item in value)}]"
    if isinstance(value, Mapping):
        items = (f"{_key(key)}:{in_grammar(item, literal=literal)}" for key, item in value.items())
        return f"{{{','.join(items)}}}"
    if isinstance(value, str) and not _is_plain(value):
        return quoted(value, literal=literal)
    if isinstance(value, float):
        return repr(float(value))  # inf and nan, which JSON writes otherwise
    return value if isinstance(value, str) else json.dumps(value)


def quoted(text: str, *, literal: bool = True) -> str:
    """Text between double quotes, from which Hydra reads exactly that text."""
    if literal:  # backslashes before ${ make it text instead of an interpolation
        text = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)
    # Others count only before a quote or at the end.
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), text) + '"'


def typed(key: str, value: Any) -> str:
    """``key=value`` as it is typed in a shell: 'data.root="archive (1)"'."""
    return shlex.quote(f"{key}={in_grammar(value)}")


def unquoted(word: str) -> str:
    """Text of a word as it is typed, between quotes for Hydra or without."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def _is_plain(text: str) -> bool:
    """Whether Hydra reads unquoted text as that text, and not as true, a number or null."""
    word = re.fullmatch(r"([A-Za-z_/]|\.\.?/)[\w./-]*", text, re.ASCII) is not None
    return word and text.lower() not in ("true", "false", "null", "nan", "inf")


def is_key(text: str) -> bool:
    """Whether Hydra reads ``text`` as that text, or a number, where it is the key of a mapping."""
    return text.isascii() and not {"'", '"'} & set(text) and text.casefold() not in ("null", "true", "false")


def _key(key: Any) -> str:
    """A key of a mapping, which Hydra knows no quotes for."""
    return re.sub(r"([\\()\[\]{}:=,])", r"\\\1", str(key))
