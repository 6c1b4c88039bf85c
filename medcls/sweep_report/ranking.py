"""The variants of a sweep from the best to the worst, and what is said about the choice among them."""

import math
from dataclasses import dataclass

from medcls.document.blocks import Block, Note, Section, Table
from medcls.evaluation.choice import Choice, judge_choice
from medcls.evaluation.effects import over_seeds_and_images
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS, title_of
from medcls.runs.predictions import Predictions
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.silent import silent_nets
from medcls.sweep_report.trials import Trial, trials
from medcls.sweep_report.verdicts import Verdict, Verdicts, images_of, signed

_NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Ranked:
    """A variant: its mean over seeds with an interval over seeds and images; how many of its nets say nothing.

    held: how it compares with the sweep's comparator; None for that one itself, and where it could not be compared.
    """

    name: str
    value: Interval
    n_seeds: int
    n_nets: int
    n_silent: int
    held: Verdict | None


@dataclass(frozen=True)
class Ranking:
    """The variants, the highest value of the sweep's metric first; choice: of the best of them, if known."""

    variants: tuple[Ranked, ...]
    choice: Choice | None


def rank(sweep: Sweep, verdicts: Verdicts) -> Ranking:
    """Rank by the sweep's metric on the split that variants are compared on; those without a value come last."""
    metric, split = METRICS[sweep.metric], verdicts.split
    silent = [one.variant for one in silent_nets(sweep, split)]
    ranked, compared = [], {}
    for name in sweep.variants:
        complete = [trial for trial in trials(sweep, name) if trial.complete]
        value = Interval(math.nan, math.nan, math.nan)
        if complete:
            nets = [trial.predictions(split) for trial in complete]
            value = over_seeds_and_images(nets, metric) if len(nets) > 1 else intervals(nets[0], [metric])[metric.name]
            compared[name] = [_folds(trial, split) for trial in complete]
        held = verdicts.between(name, sweep.comparator) if name != sweep.comparator else None
        ranked.append(Ranked(name, value, len(complete), len(sweep.done(name)), silent.count(name), held))
    ranked.sort(key=lambda one: -one.value.value if math.isfinite(one.value.value) else math.inf)
    return Ranking(tuple(ranked), judge_choice(compared, metric))


def _folds(trial: Trial, split: str) -> list[Predictions]:
    return [run.predictions[split] for run in trial.done]


def show_interval(interval: Interval, digits: int = 3) -> str:
    """A value with its interval."""
    if math.isnan(interval.value):
        return _NONE
    value = f"{interval.value:.3f}"
    return f"{value} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval.low < interval.high else value


def show_difference(verdict: Verdict, digits: int = 3) -> str:
    """A difference with its interval."""
    c = verdict.comparison
    if math.isnan(c.low):
        return signed(c.difference, digits)
    return f"{signed(c.difference, digits)} [{signed(c.low, digits)}, {signed(c.high, digits)}]"


def ranking_table(sweep: Sweep, verdicts: Verdicts, ranking: Ranking) -> Table:
    """One row per variant, the best first."""
    title = title_of(sweep.metric)
    silent = any(one.n_silent for one in ranking.variants)
    tested = any(one.held and verdicts.tests(one.held) for one in ranking.variants)
    several = len(ranking.variants) > 1
    columns = ["variant", f"{title} [{LEVEL:.0%} interval]", *([f"vs. {sweep.comparator}"] if several else [])]
    columns += [*(["verdict"] if tested else []), "seeds", *(["nets that say nothing"] if silent else [])]
    rows = []
    for one in ranking.variants:
        row = [one.name, show_interval(one.value)]
        row += [show_difference(one.held) if one.held else _NONE] if several else []
        row += [one.held.word if one.held and verdicts.tests(one.held) else _NONE] if tested else []
        rows.append((*row, str(one.n_seeds), *([f"{one.n_silent} of {one.n_nets}"] if silent else [])))
    return Table(tuple(columns), tuple(rows))


def ranking_section(sweep: Sweep, verdicts: Verdicts, ranking: Ranking, picture: Block | None) -> Section:
    """The ranked table, the forest plot, and the performance of choosing the best."""
    where = images_of(sweep, verdicts.split)
    text = f"Mean over seeds on {where}; intervals refer to other seeds and images, the training images held fixed."
    if any(one.n_seeds == 1 for one in ranking.variants):
        text = f"On {where}; with one seed, intervals refer to other images only, the training images held fixed."
    blocks: list[Block] = [ranking_table(sweep, verdicts, ranking), Note(text), *([picture] if picture else [])]
    if ranking.choice:
        blocks.append(Note(choice_in_words(sweep, ranking.choice, verdicts.split)))
    return Section("Ranking", tuple(blocks))


def choice_in_words(sweep: Sweep, choice: Choice, split: str) -> str:
    """The performance of choosing the best variant, on other images."""
    title, (name, share) = title_of(sweep.metric), max(choice.won.items(), key=lambda item: item[1])
    epochs = " The choice of each epoch on these images adds to this." if split == "val" else ""
    return (
        f"Chosen as the best of {len(choice.won)}, the winner shows {signed(choice.optimism)} {title} more than such a "
        f"choice reaches on images that had no part in it: {show_interval(choice.honest)} (bootstrap of the whole "
        f"choice, Tsamardinos et al., 2018). {name} wins on {share:.0%} of the resamples.{epochs}"
    )
