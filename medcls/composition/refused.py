"""Messages for what Hydra refuses to compose: an unknown key or choice, or a malformed override."""

import typing
from collections.abc import Collection
from difflib import get_close_matches

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from pydantic import BaseModel

from medcls.composition import hydra_private
from medcls.config.messages import all_fields, alternatives, unknown_key
from medcls.errors import UserError
from medcls.quoting import typed


def explain_composition(error: HydraException, schema: type[BaseModel], chosen: Collection[str]) -> UserError:
    """What Hydra refused to compose: an unknown key, an unknown choice of a group, or a malformed override.

    chosen: dotted names of all keys that the chosen groups have; empty where a choice is what was refused.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        nearest = get_close_matches(name, error.options, n=1)
        hint = f" Did you mean {group}={nearest[0]}?" if nearest else ""
        return UserError(f"{group}={name}: no such choice.{hint} Choices of {group}: {', '.join(error.options)}.")
    if isinstance(error, OverrideParseException):
        return UserError(unreadable_override(str(error.override), error.message.splitlines()[0]))
    if override := hydra_private.swept_override(error):
        return UserError(ambiguous(override))
    if key := hydra_private.unmerged_key(error):
        return UserError(f"{key}: {not_merged(key, str(error.__cause__))}")
    key = hydra_private.refused_key(error)
    if key is not None and not key.startswith("hydra."):
        return UserError(unknown_override(key, schema, chosen))
    return UserError((str(error) or str(error.__cause__)).strip())


def unknown_override(key: str, schema: type[BaseModel], chosen: Collection[str]) -> str:
    """Message for an override of a key that the composed configuration does not hold: unknown, or still to be added."""
    free = [name for name, annotation in all_fields(schema) if dict in map(typing.get_origin, alternatives(annotation))]
    if key in free:
        return (
            f"{key}: found a mapping, expected its keys one by one: +{key}.<name>=... adds, ~{key}.<name> removes one"
        )
    if any(key.startswith(f"{name}.") for name in free):
        return f"{key}: not in the configuration. Add it with a plus sign: +{key}=..."
    return unknown_key(key, schema, chosen)


def unreadable_override(override: str, reason: str) -> str:
    """What to type for an override that Hydra cannot read: the same with its value between quotes."""
    key, _, value = override.partition("=")
    if value[:1] in ("{", "["):
        advice = "Within a mapping or list, put text with spaces, brackets or accents in double quotes, but not keys"
        return f"{key}: {value} cannot be read ({reason}).\n  {advice}: 'key={{a: \"b c\", d: [1, 2]}}'"
    if value[:1] == value[-1:] and value[:1] in ("'", '"') and len(value) > 1:
        value = value[1:-1]
    return f"{key}: {value} cannot be read ({reason}).\n  Quote it, for Hydra and for the shell: {typed(key, value)}"


def ambiguous(override: str) -> str:
    """What to type for a value that Hydra takes for several because it contains a comma."""
    key, _, value = override.partition("=")
    return (
        f"{key}: {value} contains a comma, which separates the values of several runs (with -m, or in sweep.py).\n"
        f"  As one value, quoted for Hydra and for the shell: {typed(key, value)}"
    )


def not_merged(key: str, reason: str) -> str:
    """What to do about a value of another kind than the one of conf/."""
    if key == "augment.transforms" and "ListConfig" in reason:
        return (
            "a list cannot be merged into the named transforms of the chosen augment.\n"
            "  Give a list with augment=own 'augment.transforms=[{HorizontalFlip: {p: 0.5}}, ...]',\n"
            "  or add one transform with '+augment.transforms.HorizontalFlip={p: 0.5}'"
        )
    return reason.splitlines()[0]
