"""The cache of images on disk: an index of files and one array of pixels, written whole, by one process at a time."""

import contextlib
import json
import logging
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np
from numpy.typing import NDArray

from medcls.atomic import write_text, writing

log = logging.getLogger(__name__)


class Stat(NamedTuple):
    """What identifies a file as the one that was read, without opening it.

    ``ctime_ns``: of its last change of any kind, where the system keeps that: files that swap names keep their size
    and may have the same modification time.
    """

    size: int
    mtime_ns: int
    ctime_ns: int


class File(NamedTuple):
    """What was found in a file of that size and these dates.

    ``row``: its image, -1 when unreadable for ``reason``; ``digest``: empty when it may be readable next time.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    digest: str
    row: int
    reason: str


class Cache(NamedTuple):
    """Files by name, and the images (N, H, W, C) of their rows; ``damage``: why what was on disk cannot be used."""

    files: dict[str, File]
    images: NDArray[np.uint8]
    damage: str = ""


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder and wait until no other process is in such a block of it. Raises OSError where that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.info("%s: waiting for another process that is reading the same images", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read_cache(folder: Path, shape: tuple[int, int, int]) -> Cache:
    """The cache of images of a ``shape`` (H, W, C); an empty one when there is none or when it fails its checksum."""
    damage = ""
    try:
        index = json.loads((folder / "index.json").read_bytes())
        content = np.fromfile(folder / index["images"], np.uint8)
        # The pixels are the end of the .npy file; its header only serves others who open it.
        images = content[len(content) - index["rows"] * math.prod(shape) :].reshape(index["rows"], *shape)
        if checksum_of(index["files"], images) == index["checksum"]:
            return Cache({name: File(*file) for name, file in index["files"].items()}, images)
        damage = "wrong checksum"
    except FileNotFoundError:
        pass  # none yet, or another process has just replaced the images of the index read here
    except (OSError, ValueError, KeyError, TypeError) as error:
        damage = repr(error)
    return Cache({}, np.empty((0, *shape), np.uint8), damage)


def write_cache(folder: Path, cache: Cache) -> None:
    """Replace the cache on disk, whole. Raises OSError as files do, UserError when the disk is full."""
    # A file that could not be opened, or was too large, may be readable next time, with the same size and dates.
    files = {name: file for name, file in cache.files.items() if file.digest}
    checksum = checksum_of(files, cache.images)
    images = f"images-{checksum:08x}.npy"
    with writing(folder / images) as file:
        # Not np.save: on a full disk its error does not say so.
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(cache.images))
        file.write(cache.images.data)
    index = {"images": images, "rows": len(cache.images), "checksum": checksum, "files": files}
    write_text(folder / "index.json", json.dumps(index))
    for path in folder.iterdir():  # the images before, and what a killed process left
        if path.name not in (images, "index.json", "lock"):
            with contextlib.suppress(OSError):
                path.unlink()


def checksum_of(files: dict[str, File], images: NDArray[np.uint8]) -> int:
    """Checksum of the index and the pixels."""
    return zlib.crc32(json.dumps(files).encode(), zlib.crc32(images.data))
