"""Long work in threads that reports its progress, and a line every two seconds while nothing else is logged."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

from medcls.host.repeat import repeating
from medcls.process import opencv_in_one_thread, usable_cores
from medcls.sources import progress

log = logging.getLogger(__name__)

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
    return progress.shown(results, f"audit: {what}", count)


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Log ``what``, and every two seconds that it goes on while the block runs and nothing else is logged."""
    log.info("audit: %s", what)
    progress.said.at = began = time.monotonic()

    def beat() -> None:
        if (now := time.monotonic()) - progress.said.at >= progress.EVERY:
            log.info("audit: %s, %.0f s so far", what, now - began)
            progress.said.at = now

    with repeating(progress.EVERY / 4, beat):
        yield
