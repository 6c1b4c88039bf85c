"""Lists of names in messages."""

from collections.abc import Sequence

SHOWN = 10  # names listed in a message before "and N more"


def listing(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first names, a line each, and how many more there are."""
    more = [f"  and {len(names) - shown} more"] if len(names) > shown else []
    return "\n".join([f"  {name}" for name in names[:shown]] + more)
