"""All images of a data set as one uint8 array: each file decoded once, later starts only check its size and times."""

import hashlib
import itertools
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.formats.budget import FILES
from medcls.formats.decode import DECODER, MAX_PIXELS, UnreadableImage, decode
from medcls.formats.gray import Window
from medcls.process import usable_cores
from medcls.sources.cache_files import Cache, File, Stat, alone_in, read_cache, write_cache
from medcls.sources.progress import shown

log = logging.getLogger(__name__)

LARGEST_PIXEL = 8  # bytes per pixel in a file, at most: with data.max_pixels, the largest file that is read at all


@dataclass(frozen=True)
class CachedImages:
    """Decoded images: ``images`` (N, H, W, C) with ``digests`` and ``names`` in the order of its rows.

    ``digests``: SHA-256 of each file's bytes; ``names``: the readable ones, in the order asked;
    ``unreadable``: reason by name, of those without a row.
    """

    images: NDArray[np.uint8]
    digests: tuple[str, ...]
    unreadable: dict[str, str]
    names: tuple[str, ...]


def load_images(
    root: Path,
    names: Sequence[str],
    *,
    image_size: int,
    channels: int,
    cache_dir: Path,
    max_pixels: int = MAX_PIXELS,
    window: Window = "file",
) -> CachedImages:
    """Images ``root/name`` as ``decode`` makes them, from the cache below ``cache_dir`` as far as it knows them.

    A file counts as unchanged while its size and its times of modification and change stay the same, and is decoded
    again only when its content is not that of a cached file. May be called by several processes at once: one decodes,
    the others wait for it. A cache folder that cannot be written to is logged; what is missing from it is then decoded
    at every start.
    Raises UserError when the disk of the cache is full.
    """
    stats, missing = _stats(root, names)
    shape = (image_size, image_size, channels)
    # The real path: a data set reached through a link or from another working folder is the same data set.
    key = json.dumps([str(root.resolve()), shape, window, DECODER])
    options = {"max_pixels": max_pixels, "window": window}
    folder = cache_dir / hashlib.sha256(key.encode()).hexdigest()[:16]
    cache = read_cache(folder, shape)  # without the lock, so that a read-only cache serves as well
    if not _covers(cache, stats):
        try:
            with alone_in(folder):
                cache = read_cache(folder, shape)  # another process may have completed it meanwhile
                if not _covers(cache, stats):
                    if cache.damage:
                        log.warning("%s: the cache of images is damaged (%s); rebuilding it.", folder, cache.damage)
                    cache = _updated(cache, root, stats, options)
                    write_cache(folder, cache)
        except OSError as error:
            log.warning("%s: the cache of images cannot be written (%s); continuing without it.", folder, error)
            if not _covers(cache, stats):
                cache = _updated(cache, root, stats, options)
    return _select(cache, names, missing)


def _stats(root: Path, names: Sequence[str]) -> tuple[dict[str, Stat], dict[str, str]]:
    """Size and times by name; and the reason by name, of the files that are missing or out of reach."""
    stats, missing = {}, {}
    for name in names:
        try:
            stat = os.stat(os.path.join(root, name))  # a Path per name would make a second start a third slower
            stats[name] = Stat(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        except FileNotFoundError:
            missing[name] = "no such file"
        except OSError as error:
            missing[name] = _not_opened(error)
    return stats, missing


def _not_opened(error: OSError) -> str:
    return f"cannot be opened ({error.strerror})"


def _covers(cache: Cache, stats: dict[str, Stat]) -> bool:
    return all(name in cache.files and cache.files[name][:3] == stat for name, stat in stats.items())


def _select(cache: Cache, names: Sequence[str], missing: dict[str, str]) -> CachedImages:
    unreadable = {name: missing.get(name) or cache.files[name].reason for name in names}
    readable = tuple(name for name in names if name not in missing and cache.files[name].row >= 0)
    for name in readable:
        unreadable.pop(name, None)
    files = [cache.files[name] for name in readable]
    rows = [file.row for file in files]
    # Usually all rows in order: then no second copy of what may be most of the memory.
    images = cache.images if rows == list(range(len(cache.images))) else cache.images[rows]
    return CachedImages(images, tuple(file.digest for file in files), unreadable, readable)


def _updated(cache: Cache, root: Path, stats: dict[str, Stat], options: dict[str, Any]) -> Cache:
    """The cache with every file of ``stats`` as it is now, and other files only while they exist.

    Those stay because another run may ask for them: a test split after a training split, say.
    """
    files = {
        name: file
        for name, file in cache.files.items()
        if (file[:3] == stats[name] if name in stats else (root / name).exists())
    }
    stale = [name for name in stats if name not in files]
    by_content = {file.digest: file for file in cache.files.values()}
    fresh = np.empty((len(stale), *cache.images.shape[1:]), np.uint8)

    def look(i: int) -> File:
        known = File(*stats[stale[i]], digest="", row=len(cache.images) + i, reason="")
        return _look(root / stale[i], known, by_content, fresh[i], options)

    files |= zip(stale, _in_parallel(look, len(stale), root), strict=True)
    images = np.concatenate([cache.images, fresh]) if len(cache.images) else fresh
    return _compact({name: files[name] for name in (*stats, *files)}, images)


def _look(
    path: Path, known: File, by_content: dict[str, File], image: NDArray[np.uint8], options: dict[str, Any]
) -> File:
    """``known`` with what the file's content adds; its pixels go into ``image`` unless that content has a row."""
    if not path.is_file():  # a pipe would never end
        return known._replace(row=-1, reason="not a file")
    if known.size > LARGEST_PIXEL * options["max_pixels"]:
        reason = f"too large, {known.size:,} bytes (data.max_pixels={options['max_pixels']:,})"
        return known._replace(row=-1, reason=reason)
    with FILES.of(known.size):
        return _decoded(path, known, by_content, image, options)


def _decoded(
    path: Path, known: File, by_content: dict[str, File], image: NDArray[np.uint8], options: dict[str, Any]
) -> File:
    try:
        content = path.read_bytes()
    except OSError as error:
        return known._replace(row=-1, reason=_not_opened(error))
    known = known._replace(digest=hashlib.sha256(content).hexdigest())
    if known.digest in by_content:
        same = by_content[known.digest]
        return known._replace(row=same.row, reason=same.reason)
    try:
        image[:] = decode(content, image_size=image.shape[0], channels=image.shape[2], **options)
    except UnreadableImage as error:
        digest = known.digest if error.lasting else ""
        return known._replace(digest=digest, row=-1, reason=error.reason)
    return known


def _in_parallel(work: Callable[[int], File], count: int, root: Path) -> Iterator[File]:
    # Threads suffice: Pillow and hashlib release the interpreter lock while they work.
    if not sys.stderr.isatty():
        log.info("%s: reading %d images", root, count)
    pool = ThreadPoolExecutor(usable_cores())
    try:
        yield from shown(pool.map(work, range(count)), "Reading images", count)
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for the remaining images


def _compact(files: dict[str, File], images: NDArray[np.uint8]) -> Cache:
    """One row for each readable file, in their order."""
    rows = [file.row for file in files.values() if file.row >= 0]
    if rows != list(range(len(images))):
        images = images[rows]
        row = itertools.count()
        files = {name: file._replace(row=next(row)) if file.row >= 0 else file for name, file in files.items()}
    return Cache(files, images)
