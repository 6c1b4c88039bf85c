"""Images of a data set that show the same picture: resized, recompressed, rotated, mirrored, brightened, shifted."""

import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from medcls.audit.hashes import HashSearch, perceptual_hashes
from medcls.audit.judge import MOST_ALIGNED, Judge, Scored
from medcls.audit.similarity import COARSE, flat, thumbnails
from medcls.config.schema import AuditConfig
from medcls.process import opencv_in_one_thread, usable_cores

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Copies:
    """Which images show the same picture.

    ``picture`` (N,): position of the first image with the same pixels, an image's own position if it is the first.
    ``first``, ``second``, ``orientation``, ``similarity`` (P,): pairs of pictures (by those positions) that are near
    copies, ``first`` < ``second``; laid in ``orientation``, ``second`` looks like ``first``, where ``moved`` (P,) only
    once it is also shifted or stretched a little.
    ``flat`` (N,): images of a single gray level, which are compared by their exact pixels only.
    ``unaligned``: number of pairs that might be copies if one were shifted, but were too many to try them all.
    """

    picture: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    similarity: NDArray[np.float32]
    moved: NDArray[np.bool_]
    flat: NDArray[np.bool_]
    unaligned: int


def find_copies(images: NDArray[np.uint8], sides: NDArray[np.int64], config: AuditConfig) -> Copies:
    """Copies among images (N, S, S, C); ``sides`` (N,): the shorter side of each file in pixels.

    Compares the hashes of all pairs in all orientations, then the pixels of pairs with similar hashes.
    """
    picture = same_pixels(images)
    gray = as_gray(images)
    coarse = thumbnails(gray, COARSE)
    empty = flat(coarse)
    chosen = np.flatnonzero((picture == np.arange(len(images))) & ~empty)
    judge = Judge(gray, coarse, sides, config)
    found, unaligned = near_pairs(gray, chosen, judge, config)
    pairs = found.candidates
    return Copies(
        picture, pairs.first, pairs.second, pairs.orientation, found.similarity, found.moved, empty, unaligned
    )


def same_pixels(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each image (N, ...) the position of the first one with the same pixels."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(sha256(image).digest(), i) for i, image in enumerate(images)], np.int64)


def as_gray(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, S, S, C) as (N, S, S): their only channel, or the mean of three with the weights of ITU-R 601."""
    if images.shape[3] == 1:
        return images[..., 0]
    gray = np.empty(images.shape[:3], np.uint8)
    for target, image in zip(gray, images, strict=True):
        target[:] = np.rint(image @ np.array([0.299, 0.587, 0.114], np.float32))
    return gray


def near_pairs(
    gray: NDArray[np.uint8], chosen: NDArray[np.int64], judge: Judge, config: AuditConfig
) -> tuple[Scored, int]:
    """Pairs of the ``chosen`` among images (N, S, S) that are near copies, each once; and how many were not aligned."""
    if not sys.stderr.isatty() and len(gray) > 5000:
        log.info("audit: comparing %d images with each other", len(gray))
    bits = np.zeros((len(chosen), 16, 16), bool)
    hashes = perceptual_hashes(gray[i] for i in chosen)  # one by one: gray[chosen] may double the memory
    for i, found in enumerate(shown(hashes, "Hashing images", len(chosen))):
        bits[i] = found
    search = HashSearch(bits, config.hash_distance_low, config.hash_distance)

    def compare(start: int) -> tuple[Scored, Scored, int]:
        parts: list[tuple[Scored, Scored]] = []
        search.search(start, lambda near: parts.append(judge.compare(near.at(chosen))))
        alike, doubtful = (Scored.joined([part[which] for part in parts]) for which in (0, 1))
        return alike, doubtful.most_alike(MOST_ALIGNED), len(doubtful.similarity)

    blocks = in_threads(compare, search.blocks(), "Comparing images")
    tried = Scored.joined([doubtful for _, doubtful, _ in blocks]).most_alike(MOST_ALIGNED)
    moved = aligned(judge, tried, config.similarity_moved)
    unaligned = sum(count for _, _, count in blocks) - len(tried.similarity)
    return Scored.joined([*(alike for alike, _, _ in blocks), moved]).once(), unaligned


def aligned(judge: Judge, doubtful: Scored, least: float) -> Scored:
    """The pairs that are copies once the second image is aligned, with their similarity after alignment."""

    def similarity(i: int) -> float:
        return judge.align(pairs.first[i], pairs.second[i], pairs.orientation[i])

    pairs = doubtful.candidates
    found = np.array(in_threads(similarity, range(len(pairs.first)), "Aligning images"), np.float32)
    return Scored(pairs, found, np.ones(len(found), bool)).take(found >= least)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], what: str) -> list[Result]:
    """The result of each item. Threads suffice: NumPy and OpenCV release the interpreter lock."""
    pool = ThreadPoolExecutor(usable_cores())
    try:
        with opencv_in_one_thread():
            return list(shown(pool.map(work, items), what, len(items)))
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for the remaining items


def shown(results: Iterable[Result], what: str, count: int) -> Iterable[Result]:
    """The same results, with a progress bar on a terminal."""
    return tqdm(results, what, count, disable=not sys.stderr.isatty())
