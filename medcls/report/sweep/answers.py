"""What a sweep's runs say to its question: the first section of the report, and a few lines for the terminal."""

import math
from itertools import groupby
from textwrap import shorten, wrap

from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import COMPARED, title_of
from medcls.report.sweep.blocks import Block, Item, Items, Note, Picture, Section, Text
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.difference_plot import plot_differences
from medcls.report.sweep.over_seeds import summarise
from medcls.report.sweep.verdicts import Verdict, Verdicts, describe, scope, show_p

_COLUMNS = 80
_MOST_PAIRS = 3  # on the terminal; the report has them all
_NO_COMPARISON = "Nothing is compared: there is one variant, or no comparison was asked for."


def answer_section(sweep: Sweep, verdicts: Verdicts) -> Section:
    """Every comparison in words; draws pictures of the differences."""
    blocks: list[Block] = []
    if unfinished := _unfinished(sweep):
        rest = "cross-validations with all folds finished" if sweep.cross_validated else "those"
        blocks.append(Text(f"{unfinished}: the answers below rest on {rest}."))
    if verdicts.made:
        scopes = {scope(verdict.comparison) for verdict in verdicts.made}
        said = scopes.pop() if len(scopes) == 1 else ""
        images = _images(sweep, verdicts) + (" of all folds pooled" if sweep.cross_validated else "")
        blocks.append(Text(f"Nets of the best epoch, on {images}. {said} {_explained_count(verdicts)}"))
        blocks.append(Items(tuple(describe(verdict, scope_said=bool(said)) for verdict in verdicts.made)))
        blocks += _difference_pictures(sweep, verdicts)
    elif not verdicts.impossible:
        blocks.append(Text(_NO_COMPARISON))
    if verdicts.impossible:
        items = [Item(f"{b} vs. {a}", "not compared", f"{why}.") for a, b, why in verdicts.impossible]
        blocks.append(Items(tuple(items)))
    if sweep.remark:
        blocks.append(Note(sweep.remark))
    return Section("Answers", tuple(blocks))


def answers(sweep: Sweep, verdicts: Verdicts) -> list[str]:
    """The same findings in at most ten lines of 80 columns, for the terminal; pairs with the smallest p-value first."""
    lines = ["SIMULATED DATA: the answers say nothing about patients."] if sweep.simulated else []
    lines += [f"{unfinished}."] if (unfinished := _unfinished(sweep)) else []
    if verdicts.made:
        pooled = "pooled " if sweep.cross_validated else ""
        lines.append(f"{_count(verdicts)} on {pooled}{_images(sweep, verdicts)} (adjusted p):")
    elif not verdicts.impossible:
        lines += [_NO_COMPARISON, *_only_variant(sweep)]
    pairs = [list(of) for _, of in groupby(verdicts.made, key=lambda verdict: (verdict.a, verdict.b))]
    pairs.sort(key=lambda of: min((v.comparison.adjusted for v in of if math.isfinite(v.comparison.p)), default=2))
    stated = [[_names(of[0].a, of[0].b), "    " + ", ".join(map(_stated, of))] for of in pairs]
    stated += [[_names(a, b), f"    not compared: {why}"] for a, b, why in verdicts.impossible]
    lines += [line for pair in stated[:_MOST_PAIRS] for line in pair]
    if (more := len(stated) - _MOST_PAIRS) > 0:
        lines.append(f"  and {more} more pair{'s' if more > 1 else ''} in the report")
    return [line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..." for line in lines]


def _unfinished(sweep: Sweep) -> str:
    done = sum(run.done for run in sweep.runs)
    return f"Only {done} of {len(sweep.runs)} runs are finished" if done < len(sweep.runs) else ""


def _images(sweep: Sweep, verdicts: Verdicts) -> str:
    return "test images" if verdicts.split == "test" else sweep.validation_images


def _count(verdicts: Verdicts) -> str:
    shown = sum(verdict.comparison.shown for verdict in verdicts.made)
    return f"{shown or 'None'} of {verdicts.n_tests} tests show{'s' if shown == 1 else ''} a difference"


def _explained_count(verdicts: Verdicts) -> str:
    if verdicts.n_tests == 1:
        return ""
    return (
        f"{_count(verdicts)}. Each p-value is adjusted for their number, the intervals are not: they hold for one "
        "comparison at a time."
    )


def _names(a: str, b: str) -> str:
    room = (_COLUMNS - len("   vs. ")) // 2
    return f"  {shorten(b, room, placeholder='...')} vs. {shorten(a, room, placeholder='...')}"


def _stated(verdict: Verdict) -> str:
    c = verdict.comparison
    p = show_p(c.adjusted).replace("below", "<")
    finding = f"{'shown' if c.shown else 'not shown'}, p {p}" if math.isfinite(c.p) else "not tested"
    return f"{title_of(c.metric)} {round(c.difference, 3) + 0.0:+.3f} ({finding})"


def _only_variant(sweep: Sweep) -> list[str]:
    """The metrics of the one variant there is."""
    if len(sweep.variants) != 1:
        return []
    (summary,) = summarise(sweep)
    unbroken = "\N{NO-BREAK SPACE}"
    shown = [f"{title_of(name)}{unbroken}{of.mean:.3f}" for name, of in summary.best.items() if math.isfinite(of.mean)]
    counted = f"mean of {summary.n_done} runs" if summary.n_done > 1 else "1 run"
    of = sweep.validation_images.removesuffix(" images")
    text = f"{of[0].upper()}{of[1:]}, best epoch, {counted}: {', '.join(shown)}"
    lines = wrap(text, _COLUMNS, initial_indent="  ", subsequent_indent="    ") if shown else []
    return [line.replace(unbroken, " ") for line in lines]


def _difference_pictures(sweep: Sweep, verdicts: Verdicts) -> list[Block]:
    blocks: list[Block] = []
    for metric in COMPARED:
        made = [v for v in verdicts.made if v.comparison.metric == metric.name and math.isfinite(v.comparison.low)]
        if len(made) < 2:  # one interval is read faster in words
            continue
        path = f"pictures/differences_{metric.name}.png"
        labels = [f"{verdict.b} vs. {verdict.a}" for verdict in made]
        plot_differences([v.comparison for v in made], labels, metric.title, sweep.simulated, sweep.folder / path)
        blocks.append(Picture(path, f"Differences in {metric.title} with {LEVEL:.0%} intervals"))
    return blocks
