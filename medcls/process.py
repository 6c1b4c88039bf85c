"""Settings of the C libraries below us, for small nets and images on a CPU, which hold for the whole process.

``tune_process`` makes those that last, before PyTorch is imported; the others end with their block.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MIB = 2**20


def tune_process() -> None:
    """Keep freed memory in the process, and let waiting threads soon give up their core."""
    keep_freed_memory()
    wait_briefly()


def keep_freed_memory() -> None:
    """Let the process keep large freed blocks instead of returning them to the system.

    A training step frees and asks for the same megabytes again; fetched from the system each time, every page of them
    faults. Does nothing where the C library is not glibc. Only effective before the blocks are allocated.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 32 * MIB)  # the largest that glibc accepts
        mallopt(M_TRIM_THRESHOLD, 1024 * MIB)
        mallopt(M_TOP_PAD, 64 * MIB)


def usable_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_briefly() -> None:
    """Shorten how long a thread of GNU OpenMP spins for the others, from milliseconds to microseconds.

    With another busy program on the machine a spinning thread keeps the core that the one it waits for needs: epochs
    of a small net then took ten times as long. A value in the environment wins. Only effective before PyTorch loads
    the library.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@contextmanager
def opencv_in_one_thread() -> Iterator[None]:
    """Have OpenCV work in the calling thread alone while the block runs.

    Its threads cost more than they save on images this small, and compete with PyTorch's and ours. Enter the block
    before threads are started that call OpenCV: the number is the process's.
    """
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
