"""Memory that images may take while they are decoded: limited for one image, shared by all threads of the process."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType

from medcls.formats.unreadable import UnreadableImage

BYTES_A_PIXEL = 4  # that data.max_pixels allows decoded: gray as 32-bit float, or 8-bit color with alpha
COPIES = 4  # of the decoded image that exist at most, from its bytes to the shrunk array


class Room:
    """So many bytes for all threads together: who needs more than is left waits, in the order of arrival.

    What alone exceeds ``total`` is let in when nothing else is.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._next = threading.Lock()  # held by the one who waits: a large image is not passed by many small ones
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Scope in which ``size`` bytes are taken."""
        with self._next, self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._total)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


FILES = Room(2**30)  # for the bytes of files that are read whole
# Taken in this order, so that no two threads wait for each other: FILES, _INFLATED, _IMAGES.
_INFLATED = threading.Lock()  # held for a file that was deflated as a whole, whose size shows only as it is inflated
_IMAGES = Room(2**30)


class Admission:
    """Scope of decoding one image; called with its size as soon as that is known, before its pixels take memory."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._held = ExitStack()

    def __enter__(self) -> "Admission":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def one_inflated(self) -> None:
        """Wait until no other file is inflated as a whole; to be called before the size of the image is known."""
        self._held.enter_context(_INFLATED)

    def __call__(self, width: int, height: int, bytes_a_pixel: int) -> None:
        """Wait until there is room for the image. Raises UnreadableImage for one that is too large.

        bytes_a_pixel: of the decoded samples.
        """
        pixels = width * height
        if pixels > self.max_pixels:
            found = f"{width:,} x {height:,}"
            raise UnreadableImage(f"too many pixels, {found} (data.max_pixels={self.max_pixels:,})", lasting=False)
        size = pixels * bytes_a_pixel
        if size > BYTES_A_PIXEL * self.max_pixels:
            allowed = f"data.max_pixels={self.max_pixels:,} of {BYTES_A_PIXEL} bytes"
            raise UnreadableImage(f"too large, {size:,} bytes decoded ({allowed})", lasting=False)
        self._held.enter_context(_IMAGES.of(COPIES * size))
