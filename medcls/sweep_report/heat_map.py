"""Metrics over two settings of a sweep, as a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from medcls.evaluation.metrics import title_of
from medcls.report.png import write_picture
from medcls.runs.run import value_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.knobs import show_value, sort_key
from medcls.sweep_report.over_seeds import spread


def plot_heat_map(sweep: Sweep, keys: Sequence[str], metrics: Sequence[str], path: Path) -> None:
    """PNG of mean best-epoch validation ``metrics`` over two swept settings; a combination without a run is empty."""
    rows, columns = (_values(sweep, key) for key in keys)
    width = min(max(6.5, 3 + 1.2 * len(columns)), 20)
    drawing = Figure(figsize=(width * len(metrics), 2.2 + 0.65 * len(rows)), layout="constrained")
    for axes, metric in zip(np.atleast_1d(drawing.subplots(1, len(metrics))), metrics, strict=True):
        mean = np.full((len(rows), len(columns)), math.nan)
        for name, values in sweep.variants.items():
            at = rows.index(show_value(values[keys[0]])), columns.index(show_value(values[keys[1]]))
            mean[at] = spread([value_of(run.metrics["best"]["val"], metric) for run in sweep.done(name)]).mean
        _draw_cells(axes, mean, "Blues_r" if metric == "loss" else "Blues")  # dark is good in both
        axes.set_xticks(range(len(columns)), [shorten(value, 24) for value in columns])
        axes.set_yticks(range(len(rows)), [shorten(value, 24) for value in rows])
        axes.set(xlabel=keys[1], ylabel=keys[0])
        axes.set_title(f"{'SIMULATED, ' if sweep.simulated else ''}validation {title_of(metric)}", fontsize=11)
    write_picture(drawing, path)


def _draw_cells(axes: Axes, mean: NDArray[np.float64], colours: str) -> None:
    image = axes.imshow(mean, cmap=colours, aspect="auto")
    for (y, x), value in np.ndenumerate(mean):
        text = f"{value:.3f}" if math.isfinite(value) else "no run"
        red, green, blue, _ = image.to_rgba(np.array([value]))[0]
        dark = math.isfinite(value) and 0.3 * red + 0.6 * green + 0.1 * blue < 0.55
        axes.text(x, y, text, ha="center", va="center", color="white" if dark else "black", fontsize=12)


def _values(sweep: Sweep, key: str) -> list[str]:
    """Values of a knob as shown, in order."""
    distinct = {show_value(values[key]): values[key] for values in sweep.variants.values()}
    return sorted(distinct, key=lambda shown: sort_key({key: distinct[shown]}))
