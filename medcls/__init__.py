"""medcls: train, compare and trust small convolutional networks on medical images.

The functions for notebooks and programs are listed in ``__all__``; docs/library.md shows them at work. Each is imported
when it is first asked for: PyTorch takes seconds, which ``import medcls`` should not cost.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, which do not ask __getattr__
    from medcls.errors import UserError as UserError
    from medcls.library.configuration import compose as compose
    from medcls.library.images import audit_images as audit_images
    from medcls.library.images import load_images as load_images
    from medcls.library.results import compare_runs as compare_runs
    from medcls.library.results import prediction_rows as prediction_rows
    from medcls.library.results import read_run as read_run
    from medcls.library.results import read_sweep as read_sweep
    from medcls.library.trained import load_classifier as load_classifier
    from medcls.library.training import build_classifier as build_classifier
    from medcls.library.training import build_net as build_net
    from medcls.library.training import resume as resume
    from medcls.library.training import train as train
    from medcls.training.classifier import Classifier as Classifier

_HOMES = {
    "medcls.errors": ("UserError",),
    "medcls.library.configuration": ("compose",),
    "medcls.library.images": ("audit_images", "load_images"),
    "medcls.library.results": ("compare_runs", "prediction_rows", "read_run", "read_sweep"),
    "medcls.library.trained": ("load_classifier",),
    "medcls.library.training": ("build_classifier", "build_net", "resume", "train"),
    "medcls.training.classifier": ("Classifier",),
}
__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    """A name of the face, imported now (PEP 562)."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'medcls' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names of the face, and the modules imported so far."""
    return sorted({*globals(), *__all__})
