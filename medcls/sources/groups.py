"""Which patient an image is of: found in its name; spellings of one name are not two patients."""

import logging
import re
from collections import Counter
from collections.abc import Sequence

from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.sources.class_names import is_missing, say_twins, unicode_form

log = logging.getLogger(__name__)


def find_groups(names: Sequence[str], pattern: str | None) -> list[str]:
    """Group of each image: what the one group of the regular expression ``pattern`` matches in its name.

    "" for all without a pattern, and for those in which nothing matches, or nan: each counts as a patient of its own,
    which is logged. Raises UserError where the pattern matches in no name.
    """
    if pattern is None:
        return [""] * len(names)
    matches = [re.search(pattern, unicode_form(name)) for name in names]
    groups = known_groups([(match[1] or "") if match else "" for match in matches], "data.group_pattern")
    unknown = [name for name, group in zip(names, groups, strict=True) if not group]
    if len(unknown) == len(names):
        raise UserError(
            f"data.group_pattern: {pattern!r} matches no patient in any of {len(names)} names:\n{listing(unknown)}\n"
            "  Expected a match in the paths below data.root. Change the pattern or the names."
        )
    if unknown:
        log.warning(
            "data.group_pattern: %r matches no patient in %d of %d names; each of these images counts as a patient of "
            "its own:\n%s",
            *(pattern, len(unknown), len(names), listing(unknown)),
        )
    return groups


def known_groups(groups: Sequence[str], where: str) -> list[str]:
    """Groups without outer space and in one Unicode form, "" where the patient is unknown (see ``is_unknown``).

    ``where``: for messages. Raises UserError for two that differ only in how they are written.
    """
    known = ["" if is_unknown(group) else unicode_form(group.strip()) for group in groups]
    if twins := say_twins(Counter(filter(None, known))):
        raise UserError(
            f"{where}: patients {twins}.\n  Spell each patient in one way or, if they are two, give them names that "
            "differ clearly."
        )
    return known


def is_unknown(group: str) -> bool:
    """Whether a patient is missing, ``unknown`` or punctuation alone, such as ? or -: not one patient, but unknown."""
    return is_missing(group) or group.strip().casefold() == "unknown" or not any(c.isalnum() for c in group)
