"""Numbers as a pack has them beside those that were recomputed."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OF_INTERVAL = ("value", "low", "high")


@dataclass(frozen=True)
class Number:
    """A number, or an interval, of the pack; found: the same recomputed; off: how far apart they are, absolute.

    open: how far apart they may be, since what ``found`` follows from is rounded. why: in words why there is none; then
    it is neither the same nor another.
    """

    where: str
    stored: Any
    found: Any = None
    off: float = 0.0
    open: float = 0.0
    why: str = ""

    def same(self, within: float) -> bool:
        return self.off <= max(within, self.open)


def compared(stored: Any, found: Any, where: str, why: str = "nothing in the pack gives it") -> Iterator[Number]:
    """Every number and text of ``stored`` beside that of ``found``, an interval as one; ``why``: of those it lacks."""
    if isinstance(stored, Mapping) and not is_interval(stored):
        for key, value in stored.items():
            inside = found.get(key, _Missing) if isinstance(found, Mapping) else _Missing
            yield from compared(value, inside, f"{where} {key}".strip(), why)
    elif isinstance(stored, list) and any(isinstance(one, Mapping) for one in stored):
        others = found if isinstance(found, list) else []
        for i, value in enumerate(stored):
            name = value.get("class", i + 1) if isinstance(value, Mapping) else i + 1
            yield from compared(value, others[i] if i < len(others) else _Missing, f"{where} {name}", why)
    elif found is _Missing:
        yield Number(where, stored, why=why)
    else:
        yield Number(where, stored, found, distance(stored, found))


class _Missing:
    """Stands for what was not recomputed, since None may be a value."""


def is_interval(value: Any) -> bool:
    """Whether a value of metrics.json is a metric with its limits."""
    return isinstance(value, Mapping) and "value" in value and not isinstance(value.get("value"), Mapping)


def distance(stored: Any, found: Any) -> float:
    """How far two values are apart: of numbers the largest difference, infinite of values of other kinds."""
    if isinstance(stored, Mapping) and isinstance(found, Mapping):
        keys = stored.keys() | found.keys()
        return max((distance(stored.get(key), found.get(key)) for key in keys), default=0.0)
    if isinstance(stored, Sequence) and isinstance(found, Sequence) and not isinstance(stored, str):
        if len(stored) != len(found):
            return math.inf
        return max((distance(a, b) for a, b in zip(stored, found, strict=True)), default=0.0)
    if _is_absent(stored) and _is_absent(found):
        return 0.0
    if _is_number(stored) and _is_number(found):
        off = 0.0 if stored == found else abs(stored - found)  # of two infinities there is no difference
        return math.inf if math.isnan(off) else float(off)
    return 0.0 if stored == found and type(stored) is type(found) else math.inf


def shown(value: Any) -> str:
    """A value in short: an interval as 0.924 [0.848, 0.962]."""
    if is_interval(value):
        value, low, high = (value.get(key) for key in OF_INTERVAL)
        return shown(value) if _is_absent(low) else f"{shown(value)} [{shown(low)}, {shown(high)}]"
    if _is_absent(value):
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_absent(value: Any) -> bool:
    """Of a number that is undefined: null in JSON, NaN where it is computed."""
    return value is None or (_is_number(value) and math.isnan(value))
