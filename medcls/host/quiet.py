"""What libraries say of themselves, and Lightning above all, left out while a block lasts."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

LIBRARIES = ("pytorch_lightning", "lightning_fabric")


def quiet_lightning() -> AbstractContextManager[None]:
    """Silence what is meant to be so here: no workers (batches come from memory), a folder not empty, resuming.

    And what Lightning tells of absent accelerators and of its products. Imported before: importing it sets its levels.
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
