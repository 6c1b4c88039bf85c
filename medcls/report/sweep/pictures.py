"""Pictures of a sweep: learning curves overlaid, differences with intervals, a heat map of two knobs."""

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

from medcls.evaluation.compare import Comparison
from medcls.report.curves import COLOURS, write_png
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.knobs import show_value, sort_key
from medcls.report.sweep.overfitting import column
from medcls.report.sweep.summary import spread
from medcls.runs.run import Run, figure

METRIC_NAMES = {"loss": "loss", "accuracy": "accuracy", "auroc": "AUROC"}
_PANELS = (
    ("training loss", "train_loss"),
    ("validation loss", "val_loss"),
    ("training accuracy", "train_accuracy"),
    ("validation accuracy", "val_accuracy"),
)
# Told apart beside the colours, which come back after seven variants.
_DASHES = ("-", "--", ":", "-.")


def plot_overlay(sweep: Sweep, title: str, path: Path) -> None:
    """PNG of training and validation curves, one colour per variant: mean over runs, their range as a band.

    A diamond marks the best epoch of each run. Nothing is written where no run is finished.
    """
    variants = [name for name in sweep.variants if sweep.done(name)]
    if not variants:
        return
    rows = math.ceil(len(variants) / 3)
    figure = Figure(figsize=(13, 8.6 + 0.28 * rows), layout="constrained")
    figure.suptitle(fill(title, 110), fontsize=13, fontweight="bold")
    panels = figure.subplots(2, 2, sharex=True)
    styles = {name: _style(i) for i, name in enumerate(variants)}
    for axes, (name, key) in zip(panels.flat, _PANELS, strict=True):
        for variant, style in styles.items():
            _draw_variant(axes, sweep.done(variant), key, style)
        _limit_losses(axes, [run for variant in variants for run in sweep.done(variant)], key)
        axes.set_title(name, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[1]:
        axes.set_xlabel("epoch")
    handles = [Line2D([], [], linewidth=2, **style) for style in styles.values()]
    handles.append(Line2D([], [], marker="D", color="0.3", linestyle="none", markersize=5))
    labels = [shorten(name, 60) for name in variants] + ["best epoch of a run (lowest validation loss)"]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)), frameon=False)
    write_png(figure, path)


def plot_differences(
    comparisons: Sequence[Comparison], labels: Sequence[str], metric: str, simulated: bool, path: Path
) -> None:
    """PNG of differences in ``metric`` with their 95 % intervals, one line each, filled where a difference is shown."""
    figure = Figure(figsize=(10, 1.5 + 0.42 * len(comparisons)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="0.4", linewidth=1)
    for y, comparison in enumerate(comparisons):
        colour = COLOURS[1] if comparison.shown else COLOURS[0]
        axes.plot([comparison.low, comparison.high], [y, y], color=colour, linewidth=2)
        fill = colour if comparison.shown else "white"
        axes.plot(comparison.difference, y, "o", color=colour, markerfacecolor=fill, markersize=7)
    axes.set_yticks(range(len(comparisons)), [shorten(label, 70) for label in labels])
    axes.set(
        ylim=(len(comparisons) - 0.4, -0.6),
        xlabel=f"{'SIMULATED ' if simulated else ''}difference in {METRIC_NAMES[metric]}",
    )
    axes.set_title("filled: a difference is shown; open: not shown", fontsize=10, loc="left")
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right", "left"]].set_visible(False)
    write_png(figure, path)


def plot_heat_map(sweep: Sweep, keys: Sequence[str], metrics: Sequence[str], path: Path) -> None:
    """PNG of mean best-epoch validation ``metrics`` over two swept knobs; a combination without a run is empty."""
    rows, columns = (_values(sweep, key) for key in keys)
    width = min(max(6.5, 3 + 1.2 * len(columns)), 20)
    drawing = Figure(figsize=(width * len(metrics), 2.2 + 0.65 * len(rows)), layout="constrained")
    for axes, metric in zip(np.atleast_1d(drawing.subplots(1, len(metrics))), metrics, strict=True):
        mean = np.full((len(rows), len(columns)), math.nan)
        for name, values in sweep.variants.items():
            at = rows.index(show_value(values[keys[0]])), columns.index(show_value(values[keys[1]]))
            mean[at] = spread([figure(run.metrics["best"]["val"], metric) for run in sweep.done(name)]).mean
        _draw_cells(axes, mean, "Blues_r" if metric == "loss" else "Blues")  # dark is good in both
        axes.set_xticks(range(len(columns)), [shorten(value, 24) for value in columns])
        axes.set_yticks(range(len(rows)), [shorten(value, 24) for value in rows])
        axes.set(xlabel=keys[1], ylabel=keys[0])
        axes.set_title(f"{'SIMULATED, ' if sweep.simulated else ''}validation {METRIC_NAMES[metric]}", fontsize=11)
    write_png(drawing, path)


def _draw_cells(axes: Axes, mean: NDArray[np.float64], colours: str) -> None:
    image = axes.imshow(mean, cmap=colours, aspect="auto")
    for (y, x), value in np.ndenumerate(mean):
        text = f"{value:.3f}" if math.isfinite(value) else "no run"
        red, green, blue, _ = image.to_rgba(np.array([value]))[0]
        dark = math.isfinite(value) and 0.3 * red + 0.6 * green + 0.1 * blue < 0.55
        axes.text(x, y, text, ha="center", va="center", color="white" if dark else "black", fontsize=12)


def _style(i: int) -> dict[str, Any]:
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": _DASHES[i // len(COLOURS) % len(_DASHES)]}


def _draw_variant(axes: Axes, runs: Sequence[Run], key: str, style: dict[str, Any]) -> None:
    # Runs that stopped early are carried no further: the mean is over those that are still training.
    length = max(len(run.history) for run in runs)
    curves = np.full((len(runs), length), math.nan)
    for curve, run in zip(curves, runs, strict=True):
        curve[: len(run.history)] = column(run.history, key)
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


def _limit_losses(axes: Axes, runs: Sequence[Run], key: str) -> None:
    """Keep one diverging variant from flattening all others: losses above five times the median are cut off."""
    if not key.endswith("loss"):
        return
    values = np.concatenate([column(run.history, key) for run in runs])
    values = values[np.isfinite(values)]
    top = 5 * float(np.median(values)) if len(values) else 0
    if top > 0 and values.max() > top:
        axes.set_ylim(0, top)


def _values(sweep: Sweep, key: str) -> list[str]:
    """Values of a knob as shown, in order."""
    distinct = {show_value(values[key]): values[key] for values in sweep.variants.values()}
    return sorted(distinct, key=lambda shown: sort_key({key: distinct[shown]}))
