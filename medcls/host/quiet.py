"""Silences libraries, Lightning above all, while a block runs."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

LIBRARIES = ("pytorch_lightning", "lightning_fabric")


def quiet_lightning() -> AbstractContextManager[None]:
    """Silence warnings about what is intended: no workers (batches come from memory), a non-empty folder, resuming.

    And Lightning's lines on absent accelerators and on its products. Import it before: importing sets its levels.
    """
    return quiet(LIBRARIES, logging.WARNING, "|".join(LIBRARIES))


@contextmanager
def quiet(libraries: Sequence[str], level: int, warned: str = "") -> Iterator[None]:
    """Log what libraries say from ``level`` on, and show no warnings of modules that match ``warned``; "": of none."""
    loggers = [logging.getLogger(library) for library in libraries]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=warned)
        for logger in loggers:
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
