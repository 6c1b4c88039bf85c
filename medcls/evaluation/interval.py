"""A value and the interval around it."""

import math
from dataclasses import dataclass
from typing import TypeGuard

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A metric on all images, and the interval around it; NaN where undefined, and then ``why`` says so in words."""

    value: float
    low: float
    high: float
    why: str = ""


def defined(value: float | None) -> TypeGuard[float]:
    """Whether there is such a number: it is NaN where it is computed, null in a file, if not."""
    return value is not None and not math.isnan(value)
