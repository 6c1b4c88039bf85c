"""Learning curves of one run: curves.png."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from medcls.report.png import COLOURS, write_picture
from medcls.runs.history import QUANTITIES

# Dashes as well as colors, for grayscale prints.
_STYLES = {"training": (COLOURS[0], "--"), "validation": (COLOURS[1], "-")}


def plot_curves(
    history: Sequence[Mapping[str, float]],
    best_epoch: int,
    title: str,
    path: Path,
    *,
    validation: str = "validation",
    vector: bool = False,
) -> None:
    """Picture of loss, accuracy and validation AUROC over the epochs, the best epoch marked with its validation values.

    history: one row per epoch, as history.csv has them (epochs from 1, a metric NaN where it was undefined).
    best_epoch: the epoch of lowest validation loss; validation: what those images are called, "test" where the test
    split served as validation. Raises ValueError when the history does not have it.
    """
    epochs = np.array([row["epoch"] for row in history])
    if best_epoch not in epochs:
        raise ValueError(f"best epoch {best_epoch} is not among the {len(epochs)} epochs of the history")
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    figure.suptitle(fill(title, 110), fontsize=13, fontweight="bold")
    # A line through few epochs shows little or nothing: mark them.
    marker = "o" if len(epochs) < 10 else None
    panels = figure.subplots(1, len(QUANTITIES))
    for axes, (name, columns) in zip(panels, QUANTITIES.items(), strict=True):
        for column in columns:
            colour, dashes = _STYLES[column.split]
            values = np.array([row[column.name] for row in history])
            label = column.split if column.split != "validation" else validation
            axes.plot(epochs, values, dashes, color=colour, marker=marker, markersize=4, linewidth=1.8, label=label)
        # Validation comes last in every panel.
        _mark_best(axes, name, best_epoch, float(values[epochs == best_epoch][-1]), validation)
        axes.set(xlabel="epoch", xlim=_limits(epochs))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    # One legend for all: the first panel has every kind of line.
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    write_picture(figure, path, vector=vector)


def _limits(epochs: NDArray[Any]) -> tuple[float, float]:
    margin = max(0.5, 0.03 * float(np.ptp(epochs)))
    return float(epochs.min()) - margin, float(epochs.max()) + margin


def _mark_best(axes: Axes, name: str, epoch: int, value: float, validation: str) -> None:
    axes.axvline(epoch, color="0.45", linewidth=1, linestyle=":")
    label = f"best epoch {epoch} (lowest {validation} loss)"
    axes.plot([epoch], [value], "D", color="black", markersize=6, zorder=3, linestyle="none", label=label)
    shown = f"{value:.3f}" if np.isfinite(value) else "undefined"
    axes.set_title(f"{name} ({validation}: {shown} at epoch {epoch})", fontsize=11)
