"""Thumbnails of the detail of images: which images look most alike as they lie, or turned by quarters and mirrored."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Start
from medcls.audit.detail import detail
from medcls.audit.moves import start_of
from medcls.audit.orientation import ORIENTATIONS, oriented
from medcls.audit.progress import in_threads
from medcls.audit.search import make_index

_SIDE = 16
_BLOCK = 1000  # images looked up at a time
_NEAREST = 4  # images looked at in each orientation, the image itself among them
_LEAST = 0.8  # similarity of two images that may be copies
_LEAD = 0.5  # how much more alike than look-alikes they are, by Fisher's transform
_LIKE = 0.999  # similarity above which the transform is meaningless
_SKIPPED = 4, 24  # nearest images that may be copies, and so are no look-alikes: a twentieth of all, within these
_UNDOES = {5: 6, 6: 5}  # each orientation undoes itself, but the quarter turns, which undo each other

Near = tuple[NDArray[np.float32], NDArray[np.int64]]


class Thumbnails:
    """Thumbnails (N, 16, 16) of detail, of unit length, so that the similarity of two is their product."""

    def __init__(self, planes: NDArray[np.float32]) -> None:
        self.planes = planes
        self.index = make_index(planes.reshape(len(planes), -1), products=True)

    @classmethod
    def of(cls, images: Sequence[NDArray[np.uint8]]) -> "Thumbnails":
        """Thumbnails of gray images."""

        def small(i: int) -> NDArray[np.float32]:
            return np.asarray(cv2.resize(detail(images[i])[0], (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))

        planes = np.stack(list(in_threads(small, range(len(images)), "Thumbnails")))
        return cls(planes / (np.sqrt((planes**2).sum(axis=(1, 2), keepdims=True)) + 1e-6))

    def take(self, positions: NDArray[np.int64]) -> "Thumbnails":
        """Those of some of the images."""
        return self if len(positions) == len(self.planes) else Thumbnails(self.planes[positions])

    def nearest(self, chosen: slice | list[int], count: int, orientation: int = 0) -> Near:
        """Similarity and positions (M, count) of the images that look most like the ``chosen``, themselves included.

        orientation: the one that the others are laid in. Positions are -1 where there are no more.
        """
        # Laying the others in an orientation is laying the chosen in the one that undoes it.
        turned = np.ascontiguousarray(oriented(self.planes[chosen], _UNDOES.get(orientation, orientation)))
        similarity, image = self.index.search(turned.reshape(len(turned), -1), min(count, len(self.planes)))
        return similarity, image

    def lookalikes(self, image: int, skip: int, count: int) -> list[Start]:
        """The images that look most like one, each in its best orientation, after the first ``skip``."""
        best: dict[int, tuple[float, int]] = {}
        for orientation in ORIENTATIONS:
            found = self.nearest([image], skip + count + 1, orientation)
            for similarity, other in zip(found[0][0].tolist(), found[1][0].tolist(), strict=True):
                if other not in (-1, image):
                    best[other] = max(best.get(other, (-1.0, 0)), (similarity, orientation))
        order = sorted(best, key=lambda other: -best[other][0])[skip : skip + count]
        return [(other, *start_of(best[other][1])) for other in order]

    def alike(self) -> Iterator[tuple[int, int, int]]:
        """Pairs, ``first`` < ``second``, and orientations in which they look far more alike than look-alikes do."""
        skipped = int(np.clip(len(self.planes) // 20, *_SKIPPED))
        seen: set[tuple[int, int, int]] = set()
        for start in range(0, len(self.planes), _BLOCK):
            block = slice(start, start + _BLOCK)
            usual = np.clip(self.nearest(block, skipped + 2)[0][:, -1], 0, _LIKE)
            for orientation in ORIENTATIONS:
                similarity, image = self.nearest(block, _NEAREST, orientation)
                lead = np.arctanh(np.minimum(similarity, 0.999)) - np.arctanh(usual)[:, None]
                for row, column in np.argwhere((similarity >= _LEAST) & (lead >= _LEAD) & (image >= 0)).tolist():
                    first, second = start + row, int(image[row, column])
                    pair = (first, second, orientation)
                    if first > second:
                        pair = (second, first, _UNDOES.get(orientation, orientation))
                    if first != second and pair not in seen:
                        seen.add(pair)
                        yield pair
