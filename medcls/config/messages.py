"""Messages for mistakes in the configuration: the key, what was found, what was expected, the nearest right name."""

import re
import shlex
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from medcls.config.parts import PARTS, choices
from medcls.errors import UserError
from medcls.quoting import quoted


def explain_invalid(error: ValidationError, schema: type[BaseModel], values: object) -> UserError:
    """All wrong keys of a configuration in one message; ``values``: the configuration."""
    details: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors():
        details.setdefault(key_of(detail), []).append(detail)
    # A list with a wrong item is also no other alternative of its key, which would say less.
    keys = [key for key in details if not any(other.startswith(f"{key}.") for other in details)]
    wrong = {key for key in keys if details[key][0]["type"] == "extra_forbidden"}
    chosen = [name for name in names_in(values) if name not in wrong]
    return UserError("\n".join(explain_key(key, details[key], schema, chosen) for key in keys))


def key_of(detail: ErrorDetails) -> str:
    """Dotted key; pydantic's locations also hold the names of alternatives, which are not keys."""
    parts = [str(part) for part in detail["loc"]]
    if _in_mapping(detail):
        del parts[-2:]
    if len(parts) > 1 and parts[0] in PARTS and parts[1] in choices(parts[0]):
        del parts[1]
    if detail["type"] in ("union_tag_invalid", "union_tag_not_found"):
        parts.append(PARTS[parts[0]][0])
    return ".".join(part for part in parts if "[" not in part and part not in ("Target", "str"))


def _in_mapping(detail: ErrorDetails) -> bool:
    """Whether a name in a mapping is wrong, which Hydra's grammar cannot quote, and not a value."""
    return detail["loc"][-1:] == ("[key]",)


def explain_key(key: str, details: list[ErrorDetails], schema: type[BaseModel], chosen: Collection[str]) -> str:
    """One wrong key; ``details``: one for each alternative that its value is none of."""
    if details[0]["type"] == "extra_forbidden":
        return unknown_key(key, schema, chosen)
    if details[0]["type"] in ("missing", "union_tag_not_found"):
        return f"{key}: missing, expected a value: {key}=..."
    if details[0]["type"] == "union_tag_invalid":
        group, _, _ = key.partition(".")
        return no_such_choice(key, details[0]["ctx"]["tag"], list(choices(group)))
    expected = " or ".join(re.sub(r"^(Input (should be|is not)|Value error,) ", "", d["msg"]) for d in details)
    expected = expected.replace("a valid integer", "an integer").replace("a valid ", "a ")
    expected = re.sub(r" for <class.*>| or instance of \w+", "", expected)  # Python's names, not the user's
    number = isinstance(details[0]["input"], int | float) and not _in_mapping(details[0])
    if number and re.search(r"\ba (path|string)\b", expected):
        given = details[0]["input"]
        written = str(given).lower() if isinstance(given, bool) else str(given)
        expected += f". As text, quoted for Hydra and for the shell: {shlex.quote(f'{key}={quoted(written)}')}"
    expected = re.sub(r"\w+ should have (at least \d+ \w+)( after validation, not \d+)?", r"\1", expected)
    expected = re.sub(r"String should match pattern '.*'", "a dotted path, such as mynet.SmallResNet", expected)
    return f"{key}: found {details[0]['input']!r}, expected {expected}."


def no_such_choice(key: str, found: str, known: Sequence[str]) -> str:
    """Message for a name that none of the choices of ``key`` has."""
    return f"{key}: found {found!r}.{did_you_mean(found, known)} Expected one of {', '.join(known)}."


def did_you_mean(found: str, known: Collection[str]) -> str:
    """The nearest of the known names as a question to append to a message; empty where none is near."""
    nearest = get_close_matches(found, known, n=1)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def unknown_key(key: str, schema: type[BaseModel], chosen: Collection[str]) -> str:
    """Message for a key that the configuration does not have; ``chosen``: dotted names of all that it has."""
    section, _, last = key.rpartition(".")
    if section and key in {name for name, _ in all_fields(schema)}:
        return f"{key}: not a key of the chosen {section}; it belongs to another choice of {section}."
    siblings = sorted(name.rpartition(".")[2] for name in chosen if name.rpartition(".")[0] == section)
    nearest = [f"{section}.{name}".lstrip(".") for name in get_close_matches(last, siblings, n=1)]
    nearest = nearest or get_close_matches(key, sorted(chosen), n=1)
    nearest = nearest or sorted(name for name in chosen if name.rpartition(".")[2] == last)[:1]
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    where = f"Keys of {section}" if siblings and section else "Keys"
    listed = siblings or sorted(name for name in chosen if "." not in name)
    return f"{key}: unknown key.{hint} {where}: {', '.join(listed)}."


def names_in(values: object, prefix: str = "") -> list[str]:
    """Dotted names of all keys of nested dictionaries, sections among them."""
    if not isinstance(values, Mapping):
        return []
    return [name for key, value in values.items() for name in (f"{prefix}{key}", *names_in(value, f"{prefix}{key}."))]


def all_fields(schema: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted name and annotation of every key of a schema, those of all alternatives included."""
    for name, field in schema.model_fields.items():
        key = prefix + (field.alias or name)
        yield key, field.annotation
        for section in sections(field.annotation):
            yield from all_fields(section, f"{key}.")


def alternatives(annotation: object) -> list[object]:
    """The annotation and what it names: dict[str, str] of dict[str, str] | None."""
    return [annotation, *typing.get_args(annotation)]


def sections(annotation: object) -> Iterable[type[BaseModel]]:
    """Schemas that a field's annotation names, alone or as alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in typing.get_args(annotation) for section in sections(part)]


def explain_interpolation(error: OmegaConfBaseException) -> UserError:
    """A value that is missing (???) or refers to something that does not exist."""
    key, message = error.full_key or "", f"{error.msg or error}".splitlines()[0]
    if "nterpolation" in message:
        message += (
            f".\n  Where ${{ is part of a name, quote it for Hydra and for the shell: '{key}=\"...\\${{...}}...\"'"
        )
    return UserError(f"{key}: {message}")
