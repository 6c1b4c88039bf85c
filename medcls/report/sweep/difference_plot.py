"""The differences between variants with their intervals, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from matplotlib.figure import Figure

from medcls.evaluation.compare import Comparison
from medcls.report.png import COLOURS, write_png


def plot_differences(
    comparisons: Sequence[Comparison], labels: Sequence[str], title: str, simulated: bool, path: Path
) -> None:
    """PNG of differences in a metric with their 95 % intervals, one line each, filled where a difference is shown."""
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
        xlabel=f"{'SIMULATED ' if simulated else ''}difference in {title}",
    )
    axes.set_title("filled: a difference is shown; open: not shown", fontsize=10, loc="left")
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right", "left"]].set_visible(False)
    write_png(figure, path)
