"""Gray values of any range as 0..255: between percentiles of the image, or through a window as scanners show it."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

# How to show gray values of DICOM: the file's own window, percentiles, or (center, width) in the file's units.
Window = Literal["file", "percentiles"] | tuple[float, float]


def between_percentiles(
    values: NDArray[np.float32],
    shown: NDArray[np.bool_] | None = None,
    percentiles: tuple[float, float] = (0.5, 99.5),
) -> NDArray[np.float32]:
    """``values`` scaled so that their ``percentiles`` become 0 and 255, clipped to these.

    ``shown``: mask of the values that percentiles are of; values that are not finite never are, and become 0.
    """
    mask = np.isfinite(values) if shown is None else np.isfinite(values) & shown
    chosen = values[mask]
    low, high = np.percentile(chosen, percentiles) if chosen.size else (0.0, 0.0)
    if low == high and chosen.size:  # a small object on an even background
        low, high = chosen.min(), chosen.max()
    scale = 255.0 / (high - low) if high > low else 0.0
    scaled = np.nan_to_num((values - np.float32(low)) * np.float32(scale))
    clipped: NDArray[np.float32] = np.clip(scaled, 0.0, 255.0)
    return clipped


def through_window(
    values: NDArray[np.float32], center: float, width: float, function: str = "LINEAR"
) -> NDArray[np.float32]:
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
