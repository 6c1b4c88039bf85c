"""Which comparisons a sweep tests: the family, decided beforehand, for whose size p-values are adjusted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from medcls.sweep_report.knobs import name_variant, show_value

Variants = Mapping[str, Mapping[str, Any]]
Requested = str | Sequence[tuple[str, str]] | None


@dataclass(frozen=True)
class Pair:
    """``b`` vs. ``a``: two variants, or two values of a setting, each over the variants that have it.

    of_a, of_b: names of variants, which differ in that setting alone from one another, in the same order.
    key: the setting; empty where two variants are compared.
    """

    a: str
    b: str
    of_a: tuple[str, ...]
    of_b: tuple[str, ...]
    key: str = ""

    @property
    def turned(self) -> "Pair":
        """``a`` vs. ``b``."""
        return Pair(self.b, self.a, self.of_b, self.of_a, self.key)


def family(requested: Requested, variants: Variants) -> tuple[Pair, ...]:
    """The comparisons of a sweep. requested: pairs of variants, "all", or the one that each other is compared with.

    None: where the variants are a full grid of several settings, each value of a setting with the setting's first,
    over all others (main effects: as many tests as there are further values); else each variant with the first.
    """
    if requested is None:
        return main_effects(variants) or with_each(next(iter(variants), ""), variants)
    if requested == "all":
        return tuple(map(between, combinations(variants, 2)))
    return with_each(requested, variants) if isinstance(requested, str) else tuple(map(between, requested))


def between(pair: Sequence[str]) -> Pair:
    """Comparison of two variants."""
    a, b = pair
    return Pair(a, b, (a,), (b,))


def with_each(reference: str, variants: Variants) -> tuple[Pair, ...]:
    """Every other variant compared with one."""
    return tuple(between((reference, name)) for name in variants if name != reference)


def main_effects(variants: Variants) -> tuple[Pair, ...]:
    """Each value of each setting compared with the setting's first; none where the variants are no full grid."""
    keys = dict.fromkeys(key for values in variants.values() for key in values)
    shown = {name: {key: show_value(values.get(key)) for key in keys} for name, values in variants.items()}
    levels = {key: list(dict.fromkeys(values[key] for values in shown.values())) for key in keys}
    levels = {key: found for key, found in levels.items() if len(found) > 1}
    distinct = {tuple(values[key] for key in levels) for values in shown.values()}
    full = math.prod(map(len, levels.values()))
    if len(levels) < 2 or not len(variants) == len(distinct) == full:
        return ()
    found = []
    for key, (first, *others) in levels.items():
        with_first = [name for name in variants if shown[name][key] == first]
        for value in others:
            twin = {_rest(shown[name], key): name for name in variants if shown[name][key] == value}
            of_b = tuple(twin[_rest(shown[name], key)] for name in with_first)
            a, b = name_variant({key: first}), name_variant({key: value})
            found.append(Pair(a, b, tuple(with_first), of_b, key))
    return tuple(found)


def _rest(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(value for other, value in values.items() if other != key)
