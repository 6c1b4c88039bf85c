"""The section of a sweep's report that tells how each variant did."""

import math
from collections.abc import Mapping

from medcls.report.sweep.blocks import Block, Note, Section, Table, Text
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.pictures import METRIC_NAMES
from medcls.report.sweep.summary import FIGURES, Spread, VariantSummary, summarise


def variants_table(sweep: Sweep) -> Section:
    """Figures of each variant at the best and the last epoch, and on test images where there are any."""
    summaries = summarise(sweep)
    figures = tuple(METRIC_NAMES[key] for key in FIGURES)
    counted = "runs" if sweep.cross_validated else "seeds"
    best = tuple(
        (s.name, _seeds(s), _spread(s.best_epoch, 0), *_figures(s.best), _parameters(s), _spread(s.seconds, 1))
        for s in summaries
    )
    blocks: list[Block] = [
        Text("At the best epoch of each run (lowest validation loss), on validation images:"),
        Table(("variant", counted, "best epoch", *figures, "parameters", "seconds per run"), best),
        Text("At the last epoch, on validation images:"),
        Table(("variant", *figures), tuple((s.name, *_figures(s.last)) for s in summaries)),
    ]
    if any(s.test for s in summaries):
        blocks.append(Text("At the best epoch, on test images, which are scored once:"))
        blocks.append(Table(("variant", *figures), tuple((s.name, *_figures(s.test)) for s in summaries)))
    folds = "Folds are averaged first. " if sweep.cross_validated else ""
    blocks.append(Note(f"{folds}Mean \N{PLUS-MINUS SIGN} standard deviation over seeds."))
    return Section("Variants", tuple(blocks))


def _seeds(summary: VariantSummary) -> str:
    return f"{summary.n_done}" if summary.n_done == summary.n_planned else f"{summary.n_done} of {summary.n_planned}"


def _parameters(summary: VariantSummary) -> str:
    return "\N{EN DASH}" if summary.parameters is None else f"{summary.parameters:,}"


def _figures(spreads: Mapping[str, Spread]) -> tuple[str, ...]:
    return tuple(_spread(spreads[key], 3) if key in spreads else "\N{EN DASH}" for key in FIGURES)


def _spread(spread: Spread, digits: int) -> str:
    if math.isnan(spread.mean):
        return "\N{EN DASH}"
    mean = f"{spread.mean:.{digits}f}"
    return mean if math.isnan(spread.sd) else f"{mean} \N{PLUS-MINUS SIGN} {spread.sd:.{digits}f}"
