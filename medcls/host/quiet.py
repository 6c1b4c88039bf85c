"""What Lightning says of itself, left out while one of our runs lasts."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("pytorch_lightning", "lightning_fabric")


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what is meant to be so here: no workers (batches come from memory), a folder not empty, resuming.

    And what Lightning tells of absent accelerators and of its products. Imported before: importing it sets its levels.
    """
    loggers = [logging.getLogger(library) for library in LIBRARIES]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="|".join(LIBRARIES))
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
