"""Learning curves of all variants of a sweep, overlaid."""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from medcls.report.png import line_style, write_picture
from medcls.runs.history import QUANTITIES, Column
from medcls.runs.run import Run
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.overfitting import values_of

# What training and validation both have, side by side.
_PANELS = tuple(column for columns in QUANTITIES.values() if len(columns) > 1 for column in columns)


def plot_overlay(sweep: Sweep, title: str, path: Path) -> None:
    """PNG of training and validation curves, one color per variant: mean over runs, their range as a band.

    A diamond marks the best epoch of each run. Nothing is written where no run is finished.
    """
    variants = [name for name in sweep.variants if sweep.done(name)]
    if not variants:
        return
    rows = math.ceil(len(variants) / 3)
    figure = Figure(figsize=(13, 8.6 + 0.28 * rows), layout="constrained")
    figure.suptitle(fill(title, 110), fontsize=13, fontweight="bold")
    panels = figure.subplots(2, 2, sharex=True)
    styles = {name: line_style(i) for i, name in enumerate(variants)}
    for axes, column in zip(panels.flat, _PANELS, strict=True):
        for variant, style in styles.items():
            _draw_variant(axes, sweep.done(variant), column, style)
        _limit_losses(axes, [run for variant in variants for run in sweep.done(variant)], column)
        axes.set_title(column.title, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[1]:
        axes.set_xlabel("epoch")
    handles = [Line2D([], [], linewidth=2, **style) for style in styles.values()]
    handles.append(Line2D([], [], marker="D", color="0.3", linestyle="none", markersize=5))
    labels = [shorten(name, 60) for name in variants] + ["best epoch of a run (lowest validation loss)"]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False)
    write_picture(figure, path)


def _draw_variant(axes: Axes, runs: Sequence[Run], column: Column, style: dict[str, Any]) -> None:
    # Runs that stopped early are carried no further: the mean is over those that are still training.
    length = max(len(run.history) for run in runs)
    curves = np.full((len(runs), length), math.nan)
    for curve, run in zip(curves, runs, strict=True):
        curve[: len(run.history)] = values_of(run.history, column.name)
    epochs, mean, low, high = np.arange(1, length + 1), *_mean_and_range(curves)
    axes.plot(epochs, mean, linewidth=1.8, marker="o" if length < 10 else None, markersize=3.5, **style)
    if len(runs) > 1:
        axes.fill_between(epochs, low, high, color=style["color"], alpha=0.15, linewidth=0)
    for run, curve in zip(runs, curves, strict=True):
        best = int(run.metrics["best"]["epoch"])
        axes.plot(best, curve[best - 1], "D", color=style["color"], markersize=5, markeredgecolor="white", zorder=3)


def _mean_and_range(curves: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    some = np.isfinite(curves).any(axis=0)
    result = np.full((3, curves.shape[1]), math.nan)
    kept = curves[:, some]
    result[:, some] = np.nanmean(kept, axis=0), np.nanmin(kept, axis=0), np.nanmax(kept, axis=0)
    return result[0], result[1], result[2]


def _limit_losses(axes: Axes, runs: Sequence[Run], column: Column) -> None:
    """Keep one diverging variant from flattening all others: losses above five times the median are cut off."""
    if not column.lower_is_better:
        return
    values = np.concatenate([values_of(run.history, column.name) for run in runs])
    values = values[np.isfinite(values)]
    top = 5 * float(np.median(values)) if len(values) else 0
    if top > 0 and values.max() > top:
        axes.set_ylim(0, top)
