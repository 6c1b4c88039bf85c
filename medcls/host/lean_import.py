"""Import Lightning without all of torchmetrics, of which it needs two classes: saves a second of every start."""

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

# Packages whose __init__ imports metrics of sound, text and pictures, and with them scipy.signal and torchvision; and
# what Lightning asks them for.
POSTPONED = ("torchmetrics", "torchmetrics.functional")
OFFERED = {"Metric": "metric", "MetricCollection": "collections", "__version__": "__about__"}


class Postponed(ModuleType):
    """A package whose __init__ runs when it is asked for anything but its modules and what Lightning needs."""

    def __getattr__(self, name: str) -> Any:
        if self.__name__ == POSTPONED[0]:
            if name == "_logger":
                return logging.getLogger(self.__name__)
            if name in OFFERED:
                import_module(f"{self.__name__}.utilities")  # first: it and the metrics import each other
                return getattr(import_module(f"{self.__name__}.{OFFERED[name]}"), name)
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage while the block imports, and leave what it made out of all later collections.

    Nearly all of millions of objects stay: going through them again and again takes a sixth of their import.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@cache
@without_collections()
def import_lightning() -> None:
    """Import Lightning; as usual where torchmetrics is imported already, or is a version built differently."""
    if POSTPONED[0] not in sys.modules:
        for name in POSTPONED:
            spec = find_spec(name)
            if spec is not None:
                sys.modules[name] = module_from_spec(spec)
                sys.modules[name].__class__ = Postponed
        try:
            import_module("torchmetrics.functional.classification")
            getattr(sys.modules["torchmetrics"], "MetricCollection")  # noqa: B009
        except (ImportError, AttributeError):
            for name in [name for name in sys.modules if name.partition(".")[0] == POSTPONED[0]]:
                del sys.modules[name]
    import_module("pytorch_lightning")
