"""Verifying a pack: its names, sizes and checksums, then every number recomputed, and the outcome in words."""

import logging
from collections.abc import Collection, Sequence

from medcls.errors import UserError
from medcls.pack.archive import opened
from medcls.pack.check import Part, check
from medcls.pack.compared import Number, shown
from medcls.pack.schema import ConfigWithVerify
from medcls.runs.reading import digest_of
from medcls.sources.location import find_root
from medcls.training.device import use_device

log = logging.getLogger(__name__)
FULL = 3  # parts of which each number has its line; of more only those that differ


def verify(config: ConfigWithVerify, given: Collection[str]) -> int:
    """Report of each number whether it is reproduced; returns the exit status, 1 where one is not.

    given: keys of the command. Raises UserError for a file that is no pack or was changed, before anything in it is
    used, and for images that are missing.
    """
    use_device(config.trainer)
    root = find_root(config.data) if "data.root" in given else None
    if root is not None and not root.is_dir():
        raise UserError(f"data.root: no folder {root}. Name the one with the images that the run was judged on.")
    with opened(config.pack) as pack:
        log.info("%s: SHA-256 %s", config.pack, digest_of(config.pack))
        log.info("%d files, packed by medcls %s, checksums right", len(pack.manifest["files"]), pack.manifest["medcls"])
        parts = []
        for part in check(pack, config, root):
            parts.append(part)
            tell_part(part, config.within, full=len(parts) <= FULL)
    return tell_end(parts, config.within)


def tell_part(part: Part, within: float, *, full: bool) -> None:
    """Print the numbers of a part, or with ``full`` False those alone that are not the same."""
    log.info("\n%s%s", part.name, f"   {part.remark}" if part.remark else "")
    for number in part.numbers:
        if full or not (number.why or number.same(within)):
            log.info("  %s", line(number, within))
    if not full and part.numbers:
        log.info("  %s", count(part.numbers, within))


def line(number: Number, within: float) -> str:
    """A number in words."""
    if number.why:
        return f"not recomputed  {number.where}: {shown(number.stored)}   ({number.why})"
    if number.same(within):
        return f"same            {number.where}: {shown(number.stored)}" + (
            f"   (off by {number.off:.1g})" * (number.off > 0)
        )
    how = f"off by {number.off:.2g}" if number.off < float("inf") else "of a different kind"
    both = f"{shown(number.stored)} in the pack, {shown(number.found)} recomputed"
    return f"DIFFERS         {number.where}: {both}   ({how})"


def count(numbers: Sequence[Number], within: float) -> str:
    """How many are the same, and how far apart they are at most."""
    found = [number for number in numbers if not number.why]
    same = [number for number in found if number.same(within)]
    largest = max((number.off for number in same), default=0.0)
    left = len(numbers) - len(found)
    more = f"; {left} not recomputed" if left else ""
    return f"{len(same)} of {len(found)} recomputed numbers are the same, the largest difference {largest:.1g}{more}"


def tell_end(parts: Sequence[Part], within: float) -> int:
    """Print the verdict; returns the exit status. Raises UserError where nothing was recomputed."""
    numbers = [number for part in parts for number in part.numbers]
    wrong = [number for number in numbers if not number.why and not number.same(within)]
    if all(number.why for number in numbers):
        raise UserError("verify: found no number in the pack that can be recomputed, expected the table of a run.")
    log.info("\n%s", count(numbers, within))
    if wrong:
        log.info("NOT REPRODUCED: %d numbers differ by more than %g", len(wrong), within)
        return 1
    log.info("reproduced, within %g", within)
    return 0
