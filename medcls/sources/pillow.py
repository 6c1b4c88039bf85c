"""Pillow while it reads files of ours: without its limit on pixels, since ours can be raised, and without warnings."""

import threading
import warnings
from types import TracebackType

from PIL import Image


class _Reading:
    """One change of Pillow's limit and of the warning filters for all threads inside: first in, last out.

    Both are state of the whole process, so that two scopes that overlap would leave the change in place for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._catch = warnings.catch_warnings()
                self._catch.__enter__()
                warnings.simplefilter("ignore")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                Image.MAX_IMAGE_PIXELS = self._limit
                self._catch.__exit__(None, None, None)


reading = _Reading()
