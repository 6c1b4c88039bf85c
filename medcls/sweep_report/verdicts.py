"""The comparisons of a sweep, made and put into words."""

import math
from dataclasses import dataclass, replace

from medcls.document.blocks import Item
from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.evaluation.effects import compare_effects
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import COMPARED, METRICS, title_of
from medcls.evaluation.planning import POWER
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.family import Pair, with_each
from medcls.sweep_report.silent import silent_nets
from medcls.sweep_report.trials import trials


@dataclass(frozen=True)
class Verdict:
    """What a comparison says; margin: the difference from which on one matters, or None.

    n_silent: how many of the ``n_nets`` nets in it carry no information about the images.
    """

    pair: Pair
    comparison: Comparison
    margin: float | None = None
    n_silent: int = 0
    n_nets: int = 0

    @property
    def a(self) -> str:
        return self.pair.a

    @property
    def b(self) -> str:
        return self.pair.b

    @property
    def doubt(self) -> str:
        """That nets in it carry no information about the images; empty where all do."""
        carry = "carries" if self.n_silent == 1 else "carry"
        text = f"{self.n_silent} of its {self.n_nets} nets {carry} no information about the images."
        return text if self.n_silent else ""

    @property
    def word(self) -> str:
        """Higher, lower, equivalent within the margin, no difference shown or not judgeable: of b, seen from a."""
        c, margin = self.comparison, self.margin
        within = "" if margin is None or not c.equivalent(margin) else f"equivalent within {margin:g}"
        found = c.verdict(margin)
        return f"{found}, but {within}" if c.shown and within else within or found

    def seen_from(self, name: str) -> "Verdict":
        """The same verdict with the variant ``name`` as b."""
        if name == self.b:
            return self
        c = self.comparison
        turned = replace(c, a=c.b, b=c.a, low=-c.high, high=-c.low)  # equivalence is the same from either side
        return replace(self, pair=self.pair.turned, comparison=turned)


@dataclass(frozen=True)
class Verdicts:
    """All comparisons of a sweep, on one split.

    made: the family that is tested, by the sweep's metric; described: others, whose p-values nothing is adjusted for
    and which show nothing; impossible: (pair, why) of those that could not be made. comparator: the sweep's.
    """

    split: str
    comparator: str
    made: tuple[Verdict, ...]
    described: tuple[Verdict, ...]
    impossible: tuple[tuple[Pair, str], ...]

    @property
    def n_tests(self) -> int:
        """How many p-values the adjustment allows for."""
        return sum(math.isfinite(verdict.comparison.p) for verdict in self.made)

    def tests(self, verdict: Verdict) -> bool:
        """Whether a verdict on two variants, seen from either, is one of the family."""
        names = {verdict.a, verdict.b}
        return any(not one.pair.key and {one.a, one.b} == names for one in self.made)

    def between(self, name: str, other: str) -> Verdict | None:
        """How ``name`` compares with ``other``, two variants, whether tested or described."""
        for verdict in (*self.made, *self.described):
            metric = (self.made or self.described)[0].comparison.metric
            if {verdict.a, verdict.b} == {name, other} and verdict.comparison.metric == metric:
                return verdict.seen_from(name)
        return None


def split_of(sweep: Sweep) -> str:
    """Test images where every finished run has some, which in folds are the fold's own; else validation images."""
    finished = [run for name in sweep.variants for run in sweep.done(name)]
    tested = finished and all("test" in run.predictions for run in finished)
    if sweep.cross_validated:
        tested = tested and all(run.metrics.get("test_is_fold") for run in finished)
    return "test" if tested else "val"


def images_of(sweep: Sweep, split: str) -> str:
    """What the images of a split are called that the variants are compared on."""
    if not sweep.cross_validated:
        return "test images" if split == "test" else sweep.validation_images
    return "images of all folds" if split == "test" else f"{sweep.validation_images} of all folds"


def judge(sweep: Sweep) -> Verdicts:
    """Compare what the sweep asks to, and describe each variant beside the one that others are compared with.

    Cross-validations are compared on the images of all folds, within folds.
    """
    split = split_of(sweep)
    silent = silent_nets(sweep, split)
    tested: list[tuple[Pair, Comparison]] = []
    described: list[tuple[Pair, Comparison]] = []
    impossible = []
    for pair in sweep.compare:
        try:
            found = _compare(sweep, pair, split)
        except ValueError as error:
            impossible.append((pair, str(error)))
            continue
        for c in found:
            (tested if c.metric == sweep.metric else described).append((pair, c))
    for pair in with_each(sweep.comparator, sweep.variants):
        if any(pair in (one, one.turned) for one in sweep.compare):
            continue
        try:
            found = _compare(sweep, pair, split)
        except ValueError:
            continue
        described += [(pair, c) for c in found if c.metric == sweep.metric]
    pairs = [pair for pair, _ in tested]
    made = zip(pairs, adjust([c for _, c in tested]), strict=True)

    def verdict(pair: Pair, c: Comparison, margin: float | None) -> Verdict:
        names = {*pair.of_a, *pair.of_b}
        n_nets = sum(len(sweep.done(name)) for name in names)
        return Verdict(pair, c, margin, sum(one.variant in names for one in silent), n_nets)

    return Verdicts(
        split,
        sweep.comparator,
        tuple(verdict(pair, c, sweep.margin) for pair, c in made),
        tuple(verdict(pair, c, None) for pair, c in described),
        tuple(impossible),
    )


def _compare(sweep: Sweep, pair: Pair, split: str) -> list[Comparison]:
    """A pair by the sweep's metric and those that are described. Raises ValueError, saying why, where it cannot be."""
    cells = []
    for names in (pair.of_a, pair.of_b):
        complete = [[trial for trial in trials(sweep, name) if trial.complete] for name in names]
        if sweep.cross_validated and not all(complete):
            raise ValueError("one of the two has no seed with all folds finished")
        cells.append([{trial.seed: trial.predictions(split) for trial in of} for of in complete])
    of_a, of_b = cells
    metrics = [METRICS[sweep.metric], *(metric for metric in COMPARED if metric.name != sweep.metric)]
    return compare_effects(of_a, of_b, metrics) if pair.key else compare(of_a[0], of_b[0], metrics)


def describe(verdict: Verdict, *, scope_said: bool = False, tested: bool = True) -> Item:
    """The verdict in words, computed from its numbers; ``scope_said``: once for all verdicts, elsewhere."""
    c = verdict.comparison
    lead = f"{title_of(c.metric)}: {verdict.b} vs. {verdict.a}"
    values = f"{c.b:.3f} vs. {c.a:.3f}, a difference of {signed(c.difference)}"
    if math.isnan(c.difference):
        return Item(lead, verdict.word, f"{c.why.capitalize()}.")
    if not math.isfinite(c.p):
        text = f"{values}. Not tested: {c.why or 'nothing varies among images or seeds'}."
        return Item(lead, verdict.word, " ".join(filter(None, [text, verdict.doubt])))
    shown = tested and c.shown
    finding = verdict.word if tested else "described, not tested"
    finding += f" with {verdict.b}" if shown else ""
    finding += ", for these nets only" if shown and not c.pairing.covers_seeds else ""
    adjusted = f", adjusted {show_p(c.adjusted)}" if tested else ", not adjusted"
    text = (
        f"{values} ({LEVEL:.0%} interval {signed(c.low)} to {signed(c.high)}; p {show_p(c.p)}{adjusted}; {c.method})."
    )
    more = [verdict.doubt, *([smallest_shown(c)] if tested else []), *([] if scope_said else [scope(c)])]
    return Item(lead, finding, " ".join([text, *filter(None, [*more, c.pairing.remark])]), marked=shown)


def smallest_shown(c: Comparison) -> str:
    """What the design could have shown, in words, as the estimate that it is."""
    found = c.smallest_range
    if math.isnan(found.value):
        return f"With so few runs and images, no possible difference would be shown with {POWER:.0%} power."
    high = "more than can be" if math.isnan(found.high) else f"{found.high:.2g}"
    return (
        f"The smallest difference that this design shows with {POWER:.0%} power is about {found.value:.2g} "
        f"({found.low:.2g} to {high})."
    )


def scope(c: Comparison) -> str:
    """What the intervals refer to, and what was paired, in words."""
    pairing = c.pairing
    a, b = pairing.a[0], pairing.b[0]
    apart = "their overlap is accounted for" if pairing.overlapping else "so unpaired"
    images = f"different images ({len(b.names)} and {len(a.names)}), {apart}"
    if pairing.same_images:
        images = f"the same {len(a.names)} images" + (f" of {a.n_patients} patients" if a.n_patients else "")
    others = "other patients" if a.n_patients and b.n_patients else "other images"
    held = "; the training images are held fixed."
    if pairing.covers_seeds:
        equal = len(pairing.a) == len(pairing.b)
        seeds = f"{len(pairing.b)} seeds each" if equal else f"{len(pairing.b)} and {len(pairing.a)} seeds"
        return f"{seeds} on {images}: intervals refer to other seeds and {others} of the same kind{held}"
    return f"One seed each on {images}: intervals refer to {others} only; other seeds may differ more{held}"


def signed(value: float, digits: int = 3) -> str:
    """With its own sign, also where it rounds to 0: a limit just below 0 must not read as one above."""
    return f"{0.0 if abs(value) < 1e-9 else value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def show_p(p: float) -> str:
    """A p-value to about two digits, as far as anyone should read it."""
    if p < 0.0001:
        return "below 0.0001"
    return f"{p:.2f}" if p >= 0.0995 else f"{p:.3f}" if p >= 0.01 else f"{p:.4f}"
