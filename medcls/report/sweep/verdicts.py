"""The comparisons of a sweep, made and put into words."""

import math
from dataclasses import dataclass

from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import title_of
from medcls.evaluation.planning import POWER
from medcls.report.sweep.blocks import Item
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.trials import trials


@dataclass(frozen=True)
class Verdict:
    """A comparison of two variants, by name."""

    a: str
    b: str
    comparison: Comparison


@dataclass(frozen=True)
class Verdicts:
    """All comparisons of a sweep, on one split; impossible: (a, b, why) of those that could not be made."""

    split: str
    made: tuple[Verdict, ...]
    impossible: tuple[tuple[str, str, str], ...]

    @property
    def n_tests(self) -> int:
        """How many p-values the adjustment allows for."""
        return sum(math.isfinite(verdict.comparison.p) for verdict in self.made)


def judge(sweep: Sweep) -> Verdicts:
    """Compare what the sweep asks to, on test images where every finished run has some, else on validation images.

    Cross-validations are compared on the validation images of all folds pooled.
    """
    finished = [run.predictions for name in sweep.variants for run in sweep.done(name)]
    tested = finished and all("test" in splits for splits in finished) and not sweep.cross_validated
    split = "test" if tested else "val"
    pairs, found, impossible = [], [], []
    for a, b in sweep.compare:
        complete = [[trial for trial in trials(sweep, name) if trial.complete] for name in (a, b)]
        if sweep.cross_validated and not all(complete):
            impossible.append((a, b, "one of the two has no seed with all folds finished"))
            continue
        try:
            of_a, of_b = ({trial.seed: trial.predictions(split) for trial in of} for of in complete)
            comparisons = compare(of_a, of_b)
        except ValueError as error:
            impossible.append((a, b, str(error)))
            continue
        pairs += [(a, b)] * len(comparisons)
        found += comparisons
        if not comparisons:
            impossible.append((a, b, "too few images of a class"))
    made = tuple(Verdict(a, b, c) for (a, b), c in zip(pairs, adjust(found), strict=True))
    return Verdicts(split, made, tuple(impossible))


def describe(verdict: Verdict, *, scope_said: bool = False) -> Item:
    """The verdict in words, computed from its numbers; ``scope_said``: once for all verdicts, elsewhere."""
    c = verdict.comparison
    lead = f"{title_of(c.metric)}: {verdict.b} vs. {verdict.a}"
    values = f"{c.b:.3f} vs. {c.a:.3f}, a difference of {signed(c.difference)}"
    if not math.isfinite(c.p):
        return Item(lead, "cannot be tested", f"{values}, with no variation among images or seeds to judge it by.")
    higher = verdict.b if c.difference > 0 else verdict.a
    nets = "" if c.pairing.covers_seeds else ", for these nets only"
    finding = f"higher with {higher}{nets}" if c.shown else "no difference shown"
    text = (
        f"{values} ({LEVEL:.0%} interval {signed(c.low)} to {signed(c.high)}; p {show_p(c.p)}, adjusted "
        f"{show_p(c.adjusted)}; {c.method}). {smallest_shown(c)}"
    )
    more = [c.pairing.remark] if scope_said else [scope(c), c.pairing.remark]
    return Item(lead, finding, " ".join([text, *filter(None, more)]), marked=c.shown)


def smallest_shown(c: Comparison) -> str:
    """What the design could have shown, in words."""
    if not c.smallest <= max(c.a, 1 - c.a):
        return f"With so few runs and images, no possible difference would be shown with {POWER:.0%} power."
    return f"The smallest difference that this design shows with {POWER:.0%} power is {c.smallest:.3f}."


def scope(c: Comparison) -> str:
    """What the intervals are about, and what was paired, in words."""
    pairing = c.pairing
    a, b = pairing.a[0], pairing.b[0]
    images = f"different images ({len(b.names)} and {len(a.names)}), so unpaired"
    if pairing.same_images:
        images = f"the same {len(a.names)} images" + (f" of {a.n_patients} patients" if a.n_patients else "")
    others = "other patients" if a.n_patients and b.n_patients else "other images"
    if pairing.covers_seeds:
        equal = len(pairing.a) == len(pairing.b)
        seeds = f"{len(pairing.b)} seeds each" if equal else f"{len(pairing.b)} and {len(pairing.a)} seeds"
        return f"{seeds} on {images}: intervals are about other seeds and {others} of the same kind."
    return f"One seed each on {images}: intervals are about {others} only; other seeds may differ more."


def signed(value: float) -> str:
    """Three decimals with a sign, and no minus zero."""
    return f"{round(value, 3) + 0.0:+.3f}".replace("-", "\N{MINUS SIGN}")


def show_p(p: float) -> str:
    """A p-value to about two digits, as far as anyone should read it."""
    if p < 0.0001:
        return "below 0.0001"
    return f"{p:.2f}" if p >= 0.0995 else f"{p:.3f}" if p >= 0.01 else f"{p:.4f}"
