"""What a command changes in its process: before PyTorch is imported and for good, or for the length of a block."""

import ctypes
import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from medcls.conf_folder import PACKAGE

# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MIB = 2**20


def tune_process() -> None:
    """Keep freed memory in the process, and make waiting threads yield their core soon: for small nets on a CPU."""
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


def reach_working_folder() -> None:
    """Let modules beside the user's images be imported, here and in processes started from here (PYTHONPATH).

    After everything installed, so that a file of theirs called random.py replaces nothing here.
    """
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.append(folder)
    reached = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if not (PACKAGE / "conf").is_dir():  # a checkout, which processes started elsewhere would not find
        reached.append(str(PACKAGE.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [*reached, folder])))


@contextmanager
def with_environment(**variables: str) -> Iterator[None]:
    """Set variables of the environment while the block runs, and leave them as they were."""
    with environment_kept(variables):
        os.environ.update(variables)
        yield


@contextmanager
def environment_kept(names: Collection[str]) -> Iterator[None]:
    """Leave variables of the environment as they were before the block."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def forgiving_logs() -> Iterator[None]:
    """Keep logging silent about a log file that it cannot write: a full disk must not hide the message about it."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before
