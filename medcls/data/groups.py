"""Which patient an image is of, found in its name."""

import re
from collections.abc import Sequence

from medcls.data.listing import listing
from medcls.errors import UserError


def find_groups(names: Sequence[str], pattern: str | None) -> list[str]:
    """Group of each image: what the one group of the regular expression ``pattern`` matches in its name.

    "" for all without a pattern. Raises UserError that lists the names in which nothing matches.
    """
    if pattern is None:
        return [""] * len(names)
    matches = [re.search(pattern, name) for name in names]
    groups = [(match[1] or "") if match else "" for match in matches]
    if unknown := [name for name, group in zip(names, groups, strict=True) if not group]:
        raise UserError(
            f"data.group_pattern: {pattern!r} matches no patient in {len(unknown)} of {len(names)} names:\n"
            f"{listing(unknown)}\n  Expected a match in every path below data.root. Change the pattern or the names."
        )
    return groups
