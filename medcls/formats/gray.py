"""Gray values of any range as 0..255: between percentiles of the image, or through a window as scanners show it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcls.formats.unreadable import UnreadableImage

# How to show gray values of DICOM: the file's own window, percentiles, or (center, width) in the file's units.
Window = Literal["file", "percentiles"] | tuple[float, float]
Floats = NDArray[np.floating[Any]]


def as_floats(values: NDArray[Any]) -> Floats:
    """``values`` as float32 where that holds each of them exactly, else as float64."""
    return values.astype(np.float32 if np.can_cast(values.dtype, np.float32) else np.float64, copy=False)


def between_percentiles(
    values: Floats,
    shown: NDArray[np.bool_] | None = None,
    percentiles: tuple[float, float] = (0.5, 99.5),
) -> Floats:
    """``values`` scaled so that their ``percentiles`` become 0 and 255, clipped to these.

    ``shown``: mask of the values that percentiles are computed from, never those that are not finite; NaN becomes 0.
    """
    finite = np.isfinite(values)
    mask = finite if shown is None else finite & shown
    chosen = values[mask]
    low, high = np.percentile(chosen, percentiles) if chosen.size else (0.0, 0.0)
    if low == high and chosen.size:  # a small object on an even background
        low, high = chosen.min(), chosen.max()
    del chosen
    number = values.dtype.type
    # In place from here on: for a large image, each copy counts.
    scaled = values - number(low)
    scaled *= number(255.0 / (high - low) if high > low else 0.0)
    np.nan_to_num(scaled, copy=False)
    return np.clip(scaled, 0.0, 255.0, out=scaled)


class Gray(NamedTuple):
    """Gray image of more than 8 bits, of values (H, W) in the file's own unit.

    ``show``: maps values to 0..255; ``inverted``: whether small values are bright.
    """

    values: NDArray[Any]
    show: Callable[[Floats], Floats] = between_percentiles
    inverted: bool = False

    def shown(self) -> NDArray[np.float32]:
        """The image (H, W), 0 for black to 255 for white. Raises UnreadableImage for one without a finite value."""
        values = as_floats(self.values)
        if self.values.dtype.kind == "f" and not np.isfinite(values).any():
            raise UnreadableImage("no finite value")
        shown = self.show(values).astype(np.float32, copy=False)
        return 255 - shown if self.inverted else shown


def through_window(values: Floats, center: float, width: float, function: str = "LINEAR") -> Floats:
    """``values`` through a window, 0..255, by one of the functions of DICOM PS3.3 C.11.2.1 (VOI LUT Function).

    Raises ValueError for a width that the function cannot take, or another function.
    """
    if not (np.isfinite(center) and np.isfinite(width)) or width < 1 - (function != "LINEAR") or width <= 0:
        raise ValueError(f"window of center {center} and width {width}")
    if function == "SIGMOID":
        exponent = np.clip(-4 * (values - np.float32(center)) / np.float32(width), -80, 80)
        return np.asarray(255 / (1 + np.exp(exponent)), np.float32)
    if function == "LINEAR":  # the middle of the integer range from center - width / 2 to center + width / 2 - 1
        center, width = center - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        raise ValueError(f"unknown function of the window, {function[:20]!r}")
    if width == 0:
        return np.where(values > center, np.float32(255), np.float32(0))
    scaled = ((values - np.float32(center)) / np.float32(width) + np.float32(0.5)) * 255
    clipped: NDArray[np.float32] = np.clip(np.nan_to_num(scaled), 0, 255)
    return clipped
