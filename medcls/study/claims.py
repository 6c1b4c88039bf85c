"""Whether a claim of the study holds, judged by its experiment's finished runs."""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from medcls.config.schema import ClaimConfig
from medcls.evaluation.metrics import title_of
from medcls.runs.history import column
from medcls.runs.run import Fold, Run
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.learning import show_epochs
from medcls.sweep_report.over_seeds import show_spread, spread
from medcls.sweep_report.overfitting import epochs_until, epochs_until_rise, target_value, values_of
from medcls.sweep_report.ranking import show_difference
from medcls.sweep_report.verdicts import Verdict, Verdicts, show_p

Word = Literal["held", "not held", "not shown", "not judgeable"]
WORDS: tuple[Word, ...] = ("held", "not held", "not shown", "not judgeable")
FEWEST = 2  # seeds; one alone cannot tell a setting from chance
GAP = "loss_gap"
Repetition = tuple[int, Fold | None]
Value = TypeVar("Value")


class Answer(NamedTuple):
    """The verdict on a claim, and the numbers behind it."""

    word: Word
    numbers: str


def judge_claim(claim: ClaimConfig, sweep: Sweep, verdicts: Verdicts) -> Answer:
    """A difference by the test of the sweep; curves by whether all seeds agree.

    With ``curve``, two variants are compared seed by seed in the last epoch, or each is with ``value``.
    """
    if claim.curve is None and claim.direction in ("higher", "lower", "no higher"):
        return _tested(claim, verdicts)
    if missing := [name for name in claim.of if name not in sweep.variants]:
        return Answer("not judgeable", f"there is no variant {missing[0]}")
    seeds = {name: {run.seed for run in sweep.done(name)} for name in claim.of}
    if few := [name for name in claim.of if len(seeds[name]) < FEWEST]:
        return Answer("not judgeable", f"fewer than {FEWEST} seeds of {few[0]} are finished")
    by_seed = claim.direction == "sooner" or (claim.direction in ("higher", "lower") and claim.value is None)
    if by_seed and len({seed for seed, _ in _common(sweep, claim)}) < FEWEST:
        return Answer("not judgeable", f"fewer than {FEWEST} seeds are finished of both {' and '.join(claim.of)}")
    return _CURVES[claim.direction](claim, sweep)


def _tested(claim: ClaimConfig, verdicts: Verdicts) -> Answer:
    """Of the sweep's metric: the second of two is higher (lower, no higher) than the first."""
    first, second = claim.of
    found = next((one for one in verdicts.made if {one.a, one.b} == {first, second}), None)
    if found is None:
        why = next((why for pair, why in verdicts.impossible if {pair.a, pair.b} == {first, second}), "")
        return Answer("not judgeable", why or f"{second} vs. {first} is none of the sweep's tests")
    seen = found.seen_from(second)
    c = seen.comparison
    values = f"{title_of(c.metric)} {c.b:.3f} vs. {c.a:.3f}, {show_difference(seen)}"
    values += f", adjusted p {show_p(c.adjusted)}" if math.isfinite(c.adjusted) else ""
    more = [c.reason, "" if c.pairing.covers_seeds else "one seed each: for these nets only", seen.doubt.rstrip(".")]
    return Answer(_word(claim.direction, seen), "; ".join([values, *filter(None, more)]))


def _word(direction: str, seen: Verdict) -> Word:
    """What a verdict on the second of two says about the claim."""
    c, margin = seen.comparison, seen.margin
    if not c.pairing.covers_seeds or not math.isfinite(c.p):
        return "not judgeable"
    equivalent = margin is not None and c.equivalent(margin)
    higher, lower = (c.shown and c.difference > 0), (c.shown and c.difference < 0)
    holds, fails = {
        "higher": (higher, lower or equivalent),
        "lower": (lower, higher or equivalent),
        "no higher": (lower or equivalent, higher),
    }[direction]
    if holds or fails:
        return "held" if holds else "not held"
    return "not judgeable" if c.reason else "not shown"


def _last(claim: ClaimConfig, sweep: Sweep) -> Answer:
    """Higher or lower in the last epoch: the second of two than the first, or each than ``value``."""
    sign = 1 if claim.direction == "higher" else -1
    ends = {name: {key: float(_values(run, claim)[-1]) for key, run in _runs(sweep, name).items()} for name in claim.of}
    shown = [show_spread(spread(list(ends[name].values())), 3) for name in claim.of]
    title = f"{_title(claim)} in the last epoch"
    if claim.value is not None:
        agree = [sign * (end - claim.value) >= 0 for of in ends.values() for end in of.values() if math.isfinite(end)]
        return Answer(_all(agree), f"{title} {_each(claim.of, shown)}; {_count(agree)}")
    first, second = claim.of
    both = _both(ends[first], ends[second])
    agree = [sign * (end - start) > 0 for start, end in both if math.isfinite(end - start)]
    return Answer(_all(agree), f"{title} {shown[1]} vs. {shown[0]}; {_count(agree)}")


def _rises(claim: ClaimConfig, sweep: Sweep) -> Answer:
    """The validation loss rises again after its minimum, or stays there."""
    lost = sum(not np.isfinite(values_of(run.history, "val_loss")).all() for of in claim.of for run in sweep.done(of))
    if lost:
        return Answer("not judgeable", f"the validation loss of {lost} runs is not a number in some epoch")
    found = {name: epochs_until_rise(sweep.done(name)) for name in claim.of}
    agree = [(epoch is not None) == (claim.direction == "rises") for of in found.values() for epoch in of.found]
    texts = [show_epochs(epochs) for epochs in found.values()]
    return Answer(_all(agree), f"epoch from which the validation loss rises: {_each(claim.of, texts)}; {_count(agree)}")


def _reached(claim: ClaimConfig, sweep: Sweep) -> Answer:
    """Every run of every variant reaches ``value`` in some epoch."""
    curve, value = str(claim.curve), float(claim.value or 0)
    found = {name: epochs_until(sweep.done(name), curve, value) for name in claim.of}
    agree = [epoch is not None for of in found.values() for epoch in of.found]
    texts = [show_epochs(epochs) for epochs in found.values()]
    best = np.nanmin if column(curve).lower_is_better else np.nanmax
    tops = [spread([float(best(_values(run, claim))) for run in sweep.done(name)]) for name in claim.of]
    top = _each(claim.of, [show_spread(of, 3) for of in tops])
    return Answer(
        _all(agree),
        f"first epoch reaching {_title(claim)} {value:g}: {_each(claim.of, texts)}; best of any epoch {top}",
    )


def _sooner(claim: ClaimConfig, sweep: Sweep) -> Answer:
    """The second reaches ``value``, or what the first ends with (the mean over its runs), in fewer epochs."""
    first, second = claim.of
    curve = str(claim.curve)
    value = target_value(sweep, {"metric": curve, "final_of": first}) if claim.value is None else claim.value
    found = [epochs_until(sweep.done(name), curve, value) for name in (first, second)]
    epochs = [dict(zip(_runs(sweep, name), of.found, strict=True)) for name, of in zip(claim.of, found, strict=True)]
    both = _both(*epochs)
    agree = [end is not None and (start is None or end < start) for start, end in both if (start, end) != (None, None)]
    numbers = f"first epoch reaching {_title(claim)} {value:.3f}: {show_epochs(found[1])} vs. {show_epochs(found[0])}"
    if not agree:
        return Answer("not judgeable", f"neither reaches {_title(claim)} {value:.3f}")
    undecided = len(both) - len(agree)
    word = _all(agree) if not undecided else "not shown"
    return Answer(word, f"{numbers}; {_count(agree)}{f', {undecided} with neither' if undecided else ''}")


_CURVES: dict[str, Callable[[ClaimConfig, Sweep], Answer]] = {
    "higher": _last,
    "lower": _last,
    "rises": _rises,
    "stays": _rises,
    "reached": _reached,
    "sooner": _sooner,
}


def _runs(sweep: Sweep, name: str) -> dict[Repetition, Run]:
    return {(run.seed, run.fold): run for run in sweep.done(name)}


def _common(sweep: Sweep, claim: ClaimConfig) -> set[Repetition]:
    first, second = (_runs(sweep, name).keys() for name in claim.of)
    return first & second


def _both(first: dict[Repetition, Value], second: dict[Repetition, Value]) -> list[tuple[Value, Value]]:
    """Values of the seeds that both have."""
    return [(first[key], second[key]) for key in first if key in second]


def _values(run: Run, claim: ClaimConfig) -> NDArray[np.float64]:
    """The curve that a claim is about, (E,)."""
    if claim.curve == GAP:
        return values_of(run.history, "val_loss") - values_of(run.history, "train_loss")
    return values_of(run.history, str(claim.curve))


def _title(claim: ClaimConfig) -> str:
    return "validation minus training loss" if claim.curve == GAP else column(str(claim.curve)).title


def _each(names: Sequence[str], texts: Sequence[str]) -> str:
    """A text for each variant, named where there are several."""
    if len(names) == 1:
        return texts[0]
    return ", ".join(f"{text} ({name})" for name, text in zip(names, texts, strict=True))


def _count(agree: Sequence[bool]) -> str:
    return f"so in {sum(agree)} of {len(agree)} runs"


def _all(agree: Sequence[bool]) -> Word:
    """Held where all agree, not held where none does; one alone is not judgeable."""
    if len(agree) < FEWEST:
        return "not judgeable"
    return "held" if all(agree) else "not shown" if any(agree) else "not held"
