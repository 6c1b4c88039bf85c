"""Perceptual hashes of images, and the pairs of images with similar hashes in any orientation."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcls.audit.orientation import ORIENTATIONS, oriented_bits

SIDE = 16  # bits per side; the 8 x 8 of the lowest frequencies are compared first
N_BITS, N_LOW = SIDE * SIDE, SIDE * SIDE // 4

# Pairs compared at a time: 2 MB of 8-byte words, which fit a core's cache.
_ROWS, _COLUMNS = 128, 2048


@dataclass(frozen=True)
class Candidates:
    """Pairs of images that may show the same picture: positions ``first`` < ``second`` (P,), ``orientation`` (P,).

    Laid in ``orientation``, ``second`` looks like ``first``. A pair may occur in several orientations.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]

    def take(self, chosen: NDArray[Any]) -> "Candidates":
        """The pairs at the given indices, or where a mask is true."""
        return Candidates(self.first[chosen], self.second[chosen], self.orientation[chosen])

    def at(self, positions: NDArray[np.int64]) -> "Candidates":
        """The same pairs, numbered by the ``positions`` of their images in a larger set."""
        return Candidates(positions[self.first], positions[self.second], self.orientation)


def perceptual_hashes(images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.bool_]]:
    """The pHash (16, 16) of each gray image (S, S): signs of the lowest frequencies of its cosine transform."""
    # Shrunk here to the size at which the hash is computed: Pillow's box filter is faster than imagehash's own.
    side = 4 * SIDE
    for pixels in images:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if image.width > side:
            image = image.resize((side, side), Image.Resampling.BOX)
        yield imagehash.phash(image, hash_size=SIDE).hash


def packed_words(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Hashes (N, 16, 16) as four 64-bit words (N, 4), the first with the lowest frequencies."""
    half = SIDE // 2
    quarters = [bits[:, r : r + half, c : c + half] for r in (0, half) for c in (0, half)]
    packed = [np.packbits(quarter.reshape(len(bits), -1), axis=1) for quarter in quarters]
    return np.ascontiguousarray(np.concatenate(packed, axis=1)).view(np.uint64)


class HashSearch:
    """Finds the pairs of hashes that differ in few bits; time grows with N squared, memory with N."""

    def __init__(self, bits: NDArray[np.bool_], max_low: int, max_all: int) -> None:
        self.words = packed_words(bits)
        self.oriented = np.stack([packed_words(oriented_bits(bits, orientation)) for orientation in ORIENTATIONS])
        self.low = np.ascontiguousarray(self.oriented[:, :, 0])
        self.max_low, self.max_all = max_low, max_all

    def blocks(self) -> range:
        """First rows of the blocks to search."""
        return range(0, len(self.words), _ROWS)

    def search(self, start: int, hand_over: Callable[[Candidates], None]) -> None:
        """Pass on, a few at a time, the candidates whose ``first`` is in the block that begins with ``start``."""
        rows = self.words[start : start + _ROWS, 0, None]
        for column in range(start, len(self.words), _COLUMNS):
            for orientation in ORIENTATIONS:
                low = np.bitwise_count(rows ^ self.low[orientation, None, column : column + _COLUMNS])
                # Indices into the flat array are found several times faster than rows and columns.
                hits = np.flatnonzero(low.ravel() <= self.max_low)
                first, second = hits // low.shape[1] + start, hits % low.shape[1] + column
                later = second > first
                first, second = first[later], second[later]
                if len(first):
                    distance = np.bitwise_count(self.words[first] ^ self.oriented[orientation][second])
                    near = distance.sum(axis=1) <= self.max_all
                    if near.any():
                        hand_over(Candidates(first[near], second[near], np.full(int(near.sum()), orientation)))
