"""How one image has to be turned, mirrored and shifted to lie over another."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcls.audit.alignment import Warp
from medcls.audit.detail import SIDE

_TURNED = 3.0  # degrees from which an image counts as turned
_MOVED = 0.02  # of the side: a shift or a stretch from which an image counts as moved
_EDITED = 0.035  # and from which it must have been edited
_IN_PLACE = 0.003  # of the side: how far a corner may lie from its place in an image that was only saved again
_STRETCHED = 0.045  # skew from which an image counts as stretched

# Where a pixel of the first image lies in the second, for each orientation: in units of half a side, around the center.
_LINEAR = [
    np.array([[0, 1], [1, 0]] if o & 4 else [[1, 0], [0, 1]]) @ np.diag([-1 if o & 1 else 1, -1 if o & 2 else 1])
    for o in range(8)
]
_LEFT_RIGHT = np.diag([-1, 1])
_CORNERS = np.array([[x, y, 1] for x in (0, SIDE - 1) for y in (0, SIDE - 1)])


def start_of(orientation: int) -> tuple[bool, Warp]:
    """Whether the second image of a pair is mirrored, and the move that then lays it over the first."""
    linear = _LINEAR[orientation]
    mirror = bool(np.linalg.det(linear) < 0)
    linear = _LEFT_RIGHT @ linear if mirror else linear
    return mirror, as_warp(linear)


def as_warp(linear: NDArray[np.generic]) -> Warp:
    """A move that leaves the center of the image in its place."""
    centre = np.full(2, (SIDE - 1) / 2)
    return np.column_stack([linear, centre - linear @ centre]).astype(np.float32)


class Move(NamedTuple):
    """A move taken apart: orientation (0 to 7), ``angle`` degrees more, ``shift`` in sides, ``scale`` and ``skew``.

    ``skew``: of its stretches in two directions, the larger by the smaller, less 1. ``drift``: how far at most a corner
    lies from where the orientation alone puts it, in sides.
    """

    orientation: int
    angle: float
    shift: float
    scale: float
    skew: float
    drift: float

    @property
    def moved(self) -> bool:
        """Whether it shifts, crops or stretches."""
        return max(self.shift, abs(self.scale - 1), self.skew) > _MOVED

    @property
    def edited(self) -> bool:
        """Whether it turns, shifts or crops by more than two pictures of one object would."""
        return abs(self.angle) > _TURNED or self.shift > _EDITED or abs(self.scale - 1) > _EDITED

    @property
    def lies_alike(self) -> bool:
        """Whether the images lie the same way: neither turned by quarters, nor mirrored, nor edited."""
        return self.orientation == 0 and not self.edited

    @property
    def in_place(self) -> bool:
        """Whether the images lie the same way to a fraction of a pixel, as a copy and its original do."""
        return self.orientation == 0 and self.drift <= _IN_PLACE

    @property
    def stretched(self) -> bool:
        """Whether it stretches more in one direction than in the other."""
        return self.skew > _STRETCHED


def describe_move(warp: Warp, mirror: bool) -> Move:
    """A move taken apart; ``mirror``: after the second image was mirrored left to right."""
    linear = warp[:, :2].astype(np.float64)
    full = _LEFT_RIGHT @ linear if mirror else linear
    orientation = int(np.argmax([np.trace(full.T @ other) for other in _LINEAR]))
    rest = _LINEAR[orientation].T @ full
    angle = float(np.degrees(np.arctan2(rest[1, 0] - rest[0, 1], rest[0, 0] + rest[1, 1])))
    long, short = np.linalg.svd(linear, compute_uv=False)
    centre = np.full(2, (SIDE - 1) / 2)
    shift = float(np.abs(linear @ centre + warp[:, 2] - centre).max()) / SIDE
    stray = _CORNERS @ (warp - start_of(orientation)[1]).T
    return Move(
        orientation,
        angle,
        shift,
        scale=float(np.sqrt(long * short)),
        skew=float(long / max(short, 1e-9) - 1),
        drift=float(np.hypot(*stray.T).max()) / SIDE,
    )
