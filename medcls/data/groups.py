"""Which patient an image is of, found in its name."""

import logging
import re
from collections.abc import Sequence

from medcls.data.listing import listing
from medcls.errors import UserError

log = logging.getLogger(__name__)


def find_groups(names: Sequence[str], pattern: str | None) -> list[str]:
    """Group of each image: what the one group of the regular expression ``pattern`` matches in its name.

    "" for all without a pattern, and for those in which nothing matches: each counts as a patient of its own, which is
    logged. Raises UserError where the pattern matches in no name.
    """
    if pattern is None:
        return [""] * len(names)
    matches = [re.search(pattern, name) for name in names]
    groups = [(match[1] or "") if match else "" for match in matches]
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
