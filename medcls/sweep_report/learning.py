"""Sections on how the variants learned: overfitting, and how soon they reach a value."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medcls.document.blocks import Block, Note, Section, Table, Text
from medcls.runs.history import column
from medcls.runs.run import Run
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.over_seeds import spread
from medcls.sweep_report.overfitting import Epochs, epochs_until, epochs_until_rise, loss_gap, target_value
from medcls.sweep_report.verdicts import signed


def overfitting(sweep: Sweep) -> Section | None:
    """Gap between the losses, and the epoch from which the validation loss rises, of each variant."""
    variants = [name for name in sweep.variants if sweep.done(name)]
    if not variants:
        return None
    columns = ("variant", "gap at best epoch", "gap at last epoch", "validation loss rises from epoch")
    rows = []
    for name in variants:
        runs = sweep.done(name)
        gaps = (_gap(runs, part) for part in ("best", "last"))
        rows.append((name, *gaps, show_epochs(epochs_until_rise(runs))))
    note = (
        "Gap: validation loss minus training loss, mean over runs; the more it grows, the more a net has memorized "
        "its training images. It can be negative, since training loss is measured with dropout and augmentation "
        "on, and before the epoch's last updates. The loss rises from the minimum of its moving mean (over a "
        "twentieth of the epochs, at least five), where the last epochs are above that minimum by more than twice the "
        "loss's scatter. Median over runs, and range."
    )
    return Section("Overfitting", (Table(columns, tuple(rows)), Note(note)))


def convergence(sweep: Sweep) -> Section | None:
    """Epochs that each variant takes to reach each target."""
    variants = [name for name in sweep.variants if sweep.done(name)]
    if not variants or not sweep.reach:
        return None
    blocks: list[Block] = []
    for target in sweep.reach:
        value = target_value(sweep, target)
        title = _target_title(target, value)
        if math.isnan(value):
            blocks.append(Text(f"Epochs to reach {title}: unknown, since no run is finished."))
            continue
        found = [(name, epochs_until(sweep.done(name), target["metric"], value)) for name in variants]
        rows = tuple((name, show_epochs(epochs)) for name, epochs in found)
        blocks.append(Text(f"Epochs to reach {title}:"))
        blocks.append(Table(("variant", "median over runs (range)"), rows))
    return Section("Convergence", tuple(blocks))


def show_epochs(epochs: Epochs) -> str:
    """Median and range over runs, and how many runs did not get there."""
    never = f"not within {epochs.trained} epochs"
    reached = sorted(epoch for epoch in epochs.found if epoch is not None)
    if not reached:
        return never
    n = len(epochs.found)
    if n == 1:
        return f"{reached[0]}"
    span = f"{reached[0]}\N{EN DASH}{reached[-1]}" if reached[0] < reached[-1] else f"{reached[0]}"
    if math.isinf(epochs.median):
        return f"{len(reached)} of {n} runs at {span}, the rest {never}"
    if len(reached) < n:
        span += f"; {n - len(reached)} of {n} runs {never}"
    return f"{epochs.median:g} ({span})"


def _target_title(target: Mapping[str, Any], value: float) -> str:
    title = column(target["metric"]).title + ("" if math.isnan(value) else f" {value:.3f}")
    return f"{title} (the last epoch of {target['final_of']}, mean over runs)" if "final_of" in target else title


def _gap(runs: Sequence[Run], part: str) -> str:
    gap = spread([loss_gap(run, int(run.metrics[part]["epoch"])) for run in runs])
    mean = signed(gap.mean)
    return mean if math.isnan(gap.sd) else f"{mean} \N{PLUS-MINUS SIGN} {gap.sd:.3f}"
