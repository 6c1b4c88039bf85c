"""The section of a sweep's report that says how good each variant is."""

from collections.abc import Mapping, Sequence

from medcls.document.blocks import Block, Note, Section, Table, Text
from medcls.evaluation.metrics import title_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.over_seeds import Spread, VariantSummary, reported, show_spread, summarise
from medcls.sweep_report.own_columns import OwnColumn


def variants_table(sweep: Sweep, own: Sequence[OwnColumn] = ()) -> Section:
    """Metrics of each variant at the best and the last epoch, and on test images where there are any."""
    summaries = summarise(sweep)
    names = reported(sweep)
    titles = tuple(title_of(name) for name in names)
    counted = "runs" if sweep.cross_validated else "seeds"
    best = tuple(
        (
            *(s.name, _seeds(s), show_spread(s.best_epoch, 0), *_cells(s.best, names)),
            *(_parameters(s), show_spread(s.seconds, 1), *(column.cell(sweep, s.name) for column in own)),
        )
        for s in summaries
    )
    columns = ("variant", counted, "best epoch", *titles, "parameters", "seconds per run", *(one.title for one in own))
    blocks: list[Block] = [
        Text(f"At the best epoch of each run (lowest validation loss), on {sweep.validation_images}:"),
        Table(columns, best),
        Text(f"At the last epoch, on {sweep.validation_images}:"),
        Table(("variant", *titles), tuple((s.name, *_cells(s.last, names)) for s in summaries)),
    ]
    if any(s.test for s in summaries):
        blocks.append(Text("At the best epoch, on test images, which are scored once:"))
        blocks.append(Table(("variant", *titles), tuple((s.name, *_cells(s.test, names)) for s in summaries)))
    folds = "Folds are averaged first. " if sweep.cross_validated else ""
    blocks.append(Note(f"{folds}Mean \N{PLUS-MINUS SIGN} standard deviation over seeds."))
    return Section("Variants", tuple(blocks))


def _seeds(summary: VariantSummary) -> str:
    return f"{summary.n_done}" if summary.n_done == summary.n_planned else f"{summary.n_done} of {summary.n_planned}"


def _parameters(summary: VariantSummary) -> str:
    return "\N{EN DASH}" if summary.parameters is None else f"{summary.parameters:,}"


def _cells(spreads: Mapping[str, Spread], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(show_spread(spreads[name], 3) if name in spreads else "\N{EN DASH}" for name in names)
