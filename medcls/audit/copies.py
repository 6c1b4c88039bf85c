"""Images of a data set that show the same picture, also resized, recompressed, turned, mirrored or brightened."""

import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from medcls.audit.hashes import Candidates, HashSearch, perceptual_hashes
from medcls.audit.similarity import COARSE, FINE, FINE_FROM, Grid, flat, thumbnails
from medcls.config.schema import AuditConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copies:
    """Which images show the same.

    ``picture`` (N,): number of the first image with the same pixels, the image's own where there is none before it.
    ``first``, ``second``, ``orientation``, ``similarity`` (P,): pairs of pictures (by those numbers) that are near
    copies, ``first`` < ``second``; turning ``second`` by ``orientation`` makes it look like ``first``.
    ``flat`` (N,): images of one gray, which are compared by their pixels alone.
    """

    picture: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    similarity: NDArray[np.float32]
    flat: NDArray[np.bool_]


def find_copies(images: NDArray[np.uint8], sides: NDArray[np.int64], config: AuditConfig) -> Copies:
    """Copies among images (N, S, S, C); ``sides`` (N,): the shorter side of each file in pixels.

    Compares hashes of all pairs in all orientations, then the pixels of those whose hashes are near.
    """
    picture = same_pixels(images)
    gray = as_gray(images)
    coarse = thumbnails(gray, COARSE)
    empty = flat(coarse)
    chosen = np.flatnonzero((picture == np.arange(len(images))) & ~empty)
    pairs, similarity = near_pairs(gray[chosen], coarse[chosen], sides[chosen], config)
    first, second = chosen[pairs.first], chosen[pairs.second]
    return Copies(picture, first, second, pairs.orientation, similarity, empty)


def same_pixels(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each image (N, ...) the position of the first with the same pixels."""
    seen: dict[bytes, int] = {}
    # Python's hash of bytes would do, but two images with one hash would be taken for one.
    from hashlib import sha256

    return np.array([seen.setdefault(sha256(image).digest(), i) for i, image in enumerate(images)], np.int64)


def as_gray(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (N, S, S, C) as (N, S, S): their channel, or the mean of three weighted as ITU-R 601 does."""
    if images.shape[3] == 1:
        return images[..., 0]
    gray = np.empty(images.shape[:3], np.uint8)
    for target, image in zip(gray, images, strict=True):
        target[:] = np.rint(image @ np.array([0.299, 0.587, 0.114], np.float32))
    return gray


def near_pairs(
    gray: NDArray[np.uint8], coarse: NDArray[np.uint8], sides: NDArray[np.int64], config: AuditConfig
) -> tuple[Candidates, NDArray[np.float32]]:
    """Pairs of images (N, S, S) that are near copies, each in its best orientation, with their similarity."""
    shown = sys.stderr.isatty()
    if not shown and len(gray) > 5000:
        log.info("audit: comparing %d images with each other", len(gray))
    bits = np.zeros((len(gray), 16, 16), bool)
    for i, found in enumerate(tqdm(perceptual_hashes(gray), "Hashing images", len(gray), disable=not shown)):
        bits[i] = found
    search = HashSearch(bits, config.hash_distance_low, config.hash_distance)
    judge = Judge(gray, coarse, sides, config)

    def look(start: int) -> list[tuple[Candidates, NDArray[np.float32]]]:
        kept: list[tuple[Candidates, NDArray[np.float32]]] = []
        search.search(start, lambda candidates: kept.append(judge.confirm(candidates)))
        return kept

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:  # threads suffice: NumPy lets go of the interpreter lock
        blocks = search.blocks()
        parts = list(tqdm(pool.map(look, blocks), "Comparing images", len(blocks), disable=not shown))
    return best_orientations([part for block in parts for part in block if len(part[1])])


class Judge:
    """Keeps of candidates those whose pixels agree."""

    def __init__(
        self, gray: NDArray[np.uint8], coarse: NDArray[np.uint8], sides: NDArray[np.int64], config: AuditConfig
    ) -> None:
        self.gray = gray
        self.coarse = Grid(coarse)
        self.has_fine = (sides >= FINE_FROM) & (gray.shape[1] >= FINE)
        self.config = config

    def confirm(self, candidates: Candidates) -> tuple[Candidates, NDArray[np.float32]]:
        """The pairs that are near copies, with their similarity at the coarse size."""
        similarity = self.coarse.similarity(candidates)
        alike = similarity >= self.config.similarity
        candidates, similarity = candidates.take(alike), similarity[alike]
        fine = self.has_fine[candidates.first] & self.has_fine[candidates.second]
        if not fine.any():
            return candidates, similarity
        used, position = np.unique([candidates.first, candidates.second], return_inverse=True)
        first, second = position.reshape(2, -1)
        local = Candidates(first, second, candidates.orientation)
        grid = Grid(thumbnails(self.gray[used], FINE))
        alike = ~fine
        alike[fine] = grid.similarity(local.take(fine)) >= self.config.similarity_fine
        return candidates.take(alike), similarity[alike]


def best_orientations(
    parts: list[tuple[Candidates, NDArray[np.float32]]],
) -> tuple[Candidates, NDArray[np.float32]]:
    """Each pair once, in the orientation in which it is most alike, sorted by position."""
    if not parts:
        none = np.empty(0, np.int64)
        return Candidates(none, none, none), np.empty(0, np.float32)
    first, second, orientation = (
        np.concatenate([getattr(c, name) for c, _ in parts]) for name in ("first", "second", "orientation")
    )
    similarity = np.concatenate([s for _, s in parts])
    order = np.lexsort((orientation, -similarity, second, first))
    first, second, orientation, similarity = first[order], second[order], orientation[order], similarity[order]
    fresh = np.ones(len(first), bool)
    fresh[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return Candidates(first[fresh], second[fresh], orientation[fresh]), similarity[fresh]
