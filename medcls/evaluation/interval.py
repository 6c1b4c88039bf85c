"""A value and the interval around it."""

from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A metric on all images, and the interval around it; NaN where undefined, and then ``why`` says so in words."""

    value: float
    low: float
    high: float
    why: str = ""
