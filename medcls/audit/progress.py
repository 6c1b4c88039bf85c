"""Long work in threads, with a progress bar on a terminal and a line every two seconds elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from medcls.host.repeat import repeating
from medcls.process import opencv_in_one_thread, usable_cores

log = logging.getLogger(__name__)

_EVERY = 2.0  # seconds between two lines
_AT_A_TIME = 256  # items handed to the threads, so that results do not pile up

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """The result of each item, in order; says how many there are so far."""
    return shown(run_in_threads(work, items), what, len(items))


def run_in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """The result of each item, in order. Threads suffice: NumPy and OpenCV release the interpreter lock."""
    pool = ThreadPoolExecutor(usable_cores())
    try:
        # A product of small matrices takes a hundred times as long when BLAS shares it among threads.
        with opencv_in_one_thread(), threadpool_limits(1, user_api="blas"):
            for start in range(0, len(items), _AT_A_TIME):
                yield from pool.map(work, items[start : start + _AT_A_TIME])
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for the remaining items


def shown(results: Iterable[Result], what: str, count: int) -> Iterator[Result]:
    """The same results; says now and then how many of ``count`` there are."""
    if sys.stderr.isatty():
        for result in tqdm(results, what, count, leave=False):
            _said.at = time.monotonic()
            yield result
        return
    began = time.monotonic()
    for done, result in enumerate(results, 1):
        if (now := time.monotonic()) - _said.at >= _EVERY and done < count:
            log.info("audit: %s, %d of %d, about %.0f s left", what, done, count, (now - began) / done * (count - done))
            _said.at = now
        yield result


class _Said:
    """When something was last said."""

    at = 0.0


_said = _Said()


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Say every two seconds that work goes on while the block runs, where nothing else says so."""
    _said.at = began = time.monotonic()

    def beat() -> None:
        if (now := time.monotonic()) - _said.at >= _EVERY:
            log.info("audit: %s, %.0f s so far", what, now - began)
            _said.at = now

    with repeating(_EVERY / 4, beat):
        yield
