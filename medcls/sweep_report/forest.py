"""The variants of a sweep with their intervals, the best on top, as a picture."""

import math
from textwrap import fill

from matplotlib.figure import Figure

from medcls.document.blocks import Picture
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import title_of
from medcls.report.png import COLOURS, write_picture
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.ranking import Ranking

_MOST = 40  # variants that one can still read


def plot_forest(sweep: Sweep, ranking: Ranking, name: str = "forest") -> Picture | None:
    """Draw each variant's metric with its interval over seeds and images; None where fewer than two have a value."""
    known = [one for one in ranking.variants if math.isfinite(one.value.value)][:_MOST]
    if len(known) < 2:
        return None
    figure = Figure(figsize=(6.2, 1.3 + 0.45 * len(known)), layout="constrained")
    axes = figure.subplots()
    for y, one in enumerate(known):
        shown = one.held is not None and one.held.comparison.shown
        colour, marker = (COLOURS[1] if shown else COLOURS[0]), ("X" if one.n_silent else "s" if shown else "o")
        if one.value.low < one.value.high:
            axes.plot([one.value.low, one.value.high], [y, y], color=colour, linewidth=2.2)
        axes.plot(one.value.value, y, marker, color=colour, markerfacecolor=colour if shown else "white", markersize=8)
    held = next((one.value.value for one in known if one.name == sweep.comparator), None)
    if held is not None:
        axes.axvline(held, color="0.4", linewidth=1, linestyle="--", zorder=0)
    axes.set_yticks(range(len(known)), [fill(one.name, 26) for one in known], fontsize=10)
    title, simulated = title_of(sweep.metric), "SIMULATED " if sweep.simulated else ""
    over = "seeds and images" if all(one.n_seeds > 1 for one in known) else "images"
    axes.set(ylim=(len(known) - 0.4, -0.6), xlabel=f"{simulated}{title}, {LEVEL:.0%} interval over {over}")
    meaning = [f"dashed: {sweep.comparator}"] if held is not None else []
    meaning += (
        ["filled: a difference from it is shown"] if any(v.held and v.held.comparison.shown for v in known) else []
    )
    meaning += ["cross: nets that say nothing"] if any(one.n_silent for one in known) else []
    figure.suptitle(fill("; ".join(meaning), 76), fontsize=9.5)
    axes.grid(alpha=0.3, axis="x")
    axes.spines[["top", "right", "left"]].set_visible(False)
    path = f"pictures/{name}.png"
    write_picture(figure, sweep.folder / path)
    return Picture(path, f"{title} of each variant with {LEVEL:.0%} intervals, the best on top")
