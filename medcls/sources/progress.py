"""Progress of long work: a bar on a terminal, a line at least every two seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

EVERY = 1.5  # seconds between two lines, and as much more as a result takes

Result = TypeVar("Result")


class _Said:
    """When something was last said."""

    at = 0.0


said = _Said()


def shown(results: Iterable[Result], what: str, count: int) -> Iterator[Result]:
    """The same results; says now and then how many of ``count`` there are."""
    if sys.stderr.isatty():
        for result in tqdm(results, what, count, leave=False):
            said.at = time.monotonic()
            yield result
        return
    began = time.monotonic()
    if began - said.at > 2 * EVERY:  # this work has only begun, and nothing else has logged lately
        said.at = began
    for done, result in enumerate(results, 1):
        if (now := time.monotonic()) - said.at >= EVERY and done < count:
            log.info("%s, %d of %d, about %.0f s left", what, done, count, (now - began) / done * (count - done))
            said.at = now
        yield result
