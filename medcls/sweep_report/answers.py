"""What a sweep answers, in one sentence, and what to know and do next: the head of the report, the end of a sweep."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import fmean
from textwrap import shorten, wrap

from medcls.evaluation.metrics import title_of
from medcls.evaluation.planning import Needed
from medcls.sweep_report.changed_images import changed_images
from medcls.sweep_report.crossvalidation import CHOSEN, Validated
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.ranking import Ranked, Ranking, show_difference, show_interval
from medcls.sweep_report.silent import count_silent, no_better_than_constant, silent_nets
from medcls.sweep_report.verdicts import Verdicts

_COLUMNS, _LINES = 80, 10  # of the terminal
_LONGEST = 60  # characters of a variant's name in the sentence
_WORTH_SAYING = 0.005  # of optimism
_MATTERS = "matters", "matter"
_SEEDS = 3  # with fewer, a difference between variants cannot be told from one between seeds
_USUAL = 0.05  # a difference that is worth finding, where no margin was named
_UNKNOWN = ("", "no reason recorded")


@dataclass(frozen=True)
class Head:
    """The answer in a sentence; what failed and why; doubts about it; what to do next, empty where nothing."""

    answer: str
    failures: tuple[str, ...]
    doubts: tuple[str, ...]
    next_step: str


def head_of(sweep: Sweep, verdicts: Verdicts, ranking: Ranking, validated: Sequence[Validated] = ()) -> Head:
    """What stands at the top of the report."""
    doubts = [changed] if (changed := changed_images(sweep.runs)) else []
    silent, n_nets = silent_nets(sweep, verdicts.split), sum(run.done for run in sweep.runs)
    if silent:
        doubts.append(count_silent(silent, n_nets))
    if flat := no_better_than_constant(sweep):
        doubts.append(
            f"The best epoch of {len(flat)} of {n_nets} runs is no better than a constant answer, by its loss."
        )
    said = answer(sweep, verdicts, ranking, validated)
    return Head(said, tuple(causes(sweep)), tuple(doubts), next_step(sweep, verdicts))


def on_terminal(sweep: Sweep, head: Head) -> list[str]:
    """The same in at most ten lines of 80 columns."""
    said = ["SIMULATED DATA: the answer says nothing about patients."] if sweep.simulated else []
    said += [shorten(text, 2 * _COLUMNS - 10, placeholder=" ...") for text in head.failures]
    lines = [line for text in [*said, head.answer, *head.doubts] for line in wrap(text, _COLUMNS)]
    after = wrap(head.next_step, _COLUMNS)
    return [*lines[: _LINES - len(after)], *after]


def answer(sweep: Sweep, verdicts: Verdicts, ranking: Ranking, validated: Sequence[Validated] = ()) -> str:
    """The answer in one sentence, computed from the runs."""
    known = [one for one in ranking.variants if math.isfinite(one.value.value)]
    if not known:
        return "No answer yet: no run is finished." if not any(run.done for run in sweep.runs) else _undefined(sweep)
    best, title = known[0], title_of(sweep.metric)
    mute = [one for one in silent_nets(sweep, verdicts.split) if one.constant or sweep.metric != "auroc"]
    if sum(one.variant == best.name for one in mute) == best.n_nets:
        return f"No answer: no net of the best variant, {in_words(best.name)}, tells the images apart."
    value = f"{title} {show_interval(best.value, 2)}"
    if len(sweep.variants) == 1:
        return f"One variant, nothing to compare: {value}."
    held, shown = _held(verdicts, known, best)
    effects, matters = _effects(verdicts)
    sentence = f"{in_words(best.name)} {'is best' if shown or matters else 'ranks first'}: {value}"
    nested = [one.intervals[sweep.metric] for one in validated if one.trial.variant == CHOSEN and one.intervals]
    if nested:
        again = show_interval(nested[0], 2) if len(nested) == 1 else f"{fmean(one.value for one in nested):.2f}"
        sentence += f", {again} when the choice is repeated in each fold"
    elif ranking.choice and ranking.choice.optimism >= _WORTH_SAYING:
        sentence += f", about {ranking.choice.optimism:.2f} of it from choosing the best"
    if held:
        sentence += f"; {held}"
    if effects:
        sentence += f"; {effects}"
    if not any(one.comparison.shown for one in verdicts.made) and not effects and "no difference" not in held:
        sentence += "; no difference is shown" if verdicts.made else "; nothing could be tested"
    return f"{sentence}."


def _undefined(sweep: Sweep) -> str:
    return f"No answer: {title_of(sweep.metric)} is undefined on these images, or no variant has all its runs."


def in_words(name: str) -> str:
    """A variant's name in a sentence: "lr=1e-4, n_base=16" as "lr 1e-4 with n_base 16"."""
    return shorten(name.replace("=", " ").replace(", ", " with ", 1), _LONGEST, placeholder=" ...")


def _held(verdicts: Verdicts, known: Sequence[Ranked], best: Ranked) -> tuple[str, bool]:
    """The best variant beside what it was tested against, else the comparator or, where it is that, the second.

    And whether it is shown to be higher.
    """
    requested = [v.seen_from(best.name) for v in verdicts.made if not v.pair.key and best.name in (v.a, v.b)]
    order = [verdicts.comparator, *(one.name for one in known)]
    requested.sort(key=lambda verdict: order.index(verdict.a))
    other = best.held.a if best.held else next((one.name for one in known[1:]), None)
    found = requested[0] if requested else verdicts.between(best.name, other) if other else None
    if found is None:
        return "", False
    text = f"vs. {in_words(found.a)} {show_difference(found, 2)}"
    tested = verdicts.tests(found)
    nets = ", for these nets only" if found.comparison.shown and not found.comparison.pairing.covers_seeds else ""
    word = f" ({found.word}{nets})" if tested else ""
    doubt = f", where {found.doubt[0].lower()}{found.doubt[1:].rstrip('.')}" if found.doubt else ""
    return f"{text}{word}{doubt}", tested and found.comparison.shown


def _effects(verdicts: Verdicts) -> tuple[str, bool]:
    """Which settings matter, over all others; and whether all do."""
    by_key: dict[str, set[str]] = {}
    for verdict in verdicts.made:
        if verdict.pair.key:
            by_key.setdefault(verdict.pair.key.rpartition(".")[2], set()).add(verdict.word)
    said: dict[tuple[str, str], list[str]] = {}
    for key, words in by_key.items():
        said.setdefault(_matters(words), []).append(key)
    texts = [f"{' and '.join(keys)} {of_many if keys[1:] else of_one}" for (of_one, of_many), keys in said.items()]
    return ", ".join(texts), set(said) == {_MATTERS}


def _matters(words: set[str]) -> tuple[str, str]:
    """What is said about a setting with such verdicts, and about several settings."""
    shown = {word for word in words if word.startswith(("higher", "lower"))}
    if any("equivalent" not in word for word in shown):
        return _MATTERS
    if shown:
        return "differs by less than the margin", "differ by less than the margin"
    if words == {"not judgeable"}:
        return "cannot be judged", "cannot be judged"
    if all(word.startswith("equivalent") for word in words):
        within = words.pop()
        return f"does not matter ({within})", f"do not matter ({within})"
    return "is not shown to matter", "are not shown to matter"


def causes(sweep: Sweep) -> list[str]:
    """The runs that are not finished, those of one cause together, in words."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for run in sweep.runs:
        if not run.done:
            grouped.setdefault((run.state, _cause(run.reason)), []).append(run.variant)
    said = []
    for (state, cause), variants in grouped.items():
        of = ", ".join(dict.fromkeys(variants)) if len(set(variants)) <= 3 else f"{len(set(variants))} variants"
        count = f"{len(variants)} of {len(sweep.runs)} runs {state} ({of})"
        said.append(count if cause in (*_UNKNOWN, state) else f"{count}: {cause}")
    return said


def _cause(reason: str) -> str:
    """A reason without the class of an exception, the epoch and line breaks."""
    text = " ".join(reason.split()).partition(" (after epoch")[0]
    if "OutOfMemory" in text or "out of memory" in text:
        return f"out of memory: lower batch_size or image_size ({text})"
    return text.removeprefix("UserError: ")


def next_step(sweep: Sweep, verdicts: Verdicts) -> str:
    """What to do where runs are missing or the design was too small to show a difference; empty otherwise."""
    if states := [run.state for run in sweep.runs if not run.done]:
        first = "fix what failed, or leave that value out, and " if "failed" in states else ""
        return f"Next: {first}re-run the same command: {len(states)} of {len(sweep.runs)} runs are not finished."
    if len(sweep.variants) < 2:
        return "Next: sweep over a setting and seeds, such as lr=1e-3,1e-4 seed=0,1,2."
    seeds = {run.seed for run in sweep.runs}
    if len(seeds) < _SEEDS:
        command = f"seed={','.join(map(str, sorted({*seeds, *range(_SEEDS)})))}"
        return f"Next: {command}. Fewer than {_SEEDS} seeds cannot tell an effect from chance."
    unshown = [v for v in verdicts.made if v.word in ("no difference shown", "not judgeable")]
    if not unshown:
        return ""
    wanted = sweep.margin or _USUAL
    designs = [(v.comparison.design, v.comparison.alpha) for v in unshown]
    needed = [design.needed(wanted, alpha) if design else Needed(None, None, None) for design, alpha in designs]
    text = f"Next, to show a difference of {wanted:g} in {title_of(sweep.metric)}"
    more_seeds, images, patients = map(_enough, zip(*map(astuple, needed), strict=True))
    ways = [f"{more_seeds} seeds each"] if more_seeds else []
    ways += [f"about {images} validation images{f' ({patients} patients)' if patients else ''}"] if images else []
    return f"{text}: {' or '.join(ways)}." if ways else f"{text}, more seeds and more images together are needed."


def _enough(numbers: Sequence[int | None]) -> int | None:
    """What is enough for every comparison; None where for one of them no number is."""
    known = [one for one in numbers if one is not None]
    return max(known) if len(known) == len(numbers) else None
