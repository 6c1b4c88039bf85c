"""What a net confuses, and what each threshold would give: confusion matrix and ROC as PNG."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_curve

from medcls.evaluation.areas import measure_auroc
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import METRICS
from medcls.report.png import COLOURS, write_png
from medcls.runs.predictions import Predictions

MOST_IN_CELLS = 40  # classes up to which cells hold their counts
MOST_NAMES = 40  # of classes along an axis
MOST_IN_LEGEND = 24  # lines


def plot_confusion(found: Predictions, classes: Sequence[str], title: str, path: Path) -> None:
    """PNG of how many images of each class (row) were taken for which (column), and the share of the row.

    The most probable class is the predicted one.
    """
    labels, probabilities = found.labels, found.probabilities
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(classes)))
    # A class without images has an empty row, not a division by zero.
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(5.2, 3.4 + 0.72 * len(classes)), 20)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.set_title(fill(title, int(side * 9)), fontsize=12, pad=12)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    size = 13 if len(classes) == 2 else 9
    for (row, column), count in np.ndenumerate(counts if len(classes) <= MOST_IN_CELLS else counts[:0]):
        text = f"{count}\n{share[row, column]:.1%}" if counts[row].any() else "0"
        colour = "white" if share[row, column] > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)
    names = [fill(name, 18) for name in classes]
    slanted = len(classes) > 3
    some = slice(None, None, -(-len(classes) // MOST_NAMES))
    shown = range(len(classes))[some]
    axes.set_xticks(shown, names[some], rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(shown, names[some])
    of = "" if len(shown) == len(classes) else f" ({len(classes)} classes, {len(shown)} named)"
    axes.set(xlabel="predicted class", ylabel=f"true class{of}")
    write_png(figure, path)


def plot_roc(found: Predictions, classes: Sequence[str], title: str, path: Path) -> None:
    """PNG of the ROC: of the positive class where there are two, of each class against the rest where there are more.

    A class that no image or every image belongs to has no curve and says so in the legend.
    """
    positive = found.positive
    figure = Figure(figsize=(6.4, 6.6) if len(classes) == 2 else (10, 6.4), layout="constrained")
    axes = figure.subplots()
    axes.set_title(fill(title, 64), fontsize=12, pad=12)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1.2, label="chance")
    if len(classes) == 2:
        _curve(axes, found, classes[positive], positive)
        _operating_point(axes, found)
        axes.legend(loc="lower right", framealpha=1)
    else:
        for k, name in enumerate(classes):
            _curve(axes, found, name, k)
        handles, said = axes.get_legend_handles_labels()
        more = len(said) - MOST_IN_LEGEND
        title = "each class against the rest" + (f"\n({more} more are drawn)" if more > 0 else "")
        figure.legend(
            handles[:MOST_IN_LEGEND], said[:MOST_IN_LEGEND], loc="outside right upper", frameon=False, title=title
        )
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
    axes.set(xlabel="1 - specificity (false positive rate)", ylabel="sensitivity (true positive rate)")
    axes.grid(alpha=0.3)
    write_png(figure, path)


def _curve(axes: Axes, found: Predictions, name: str, index: int) -> None:
    # More classes than colours: the next round of colours has other dashes.
    style: dict[str, Any] = {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": ("-", "--", "-.")[index // len(COLOURS) % 3],
    }
    is_class = found.labels == index
    if is_class.all() or not is_class.any():
        axes.plot([], [], **style, label=fill(f"undefined, {name}: {is_class.sum()} of {len(is_class)} images", 34))
        return
    false_positive, true_positive, _ = roc_curve(is_class, found.probabilities[:, index])
    label = fill(f"{METRICS['auroc'].title} {_shown(found, index)}, {name}", 34)
    axes.plot(false_positive, true_positive, **style, linewidth=1.9, label=label)


def _shown(found: Predictions, index: int) -> str:
    """AUROC of a class against the rest, with its interval where there is one."""
    area = measure_auroc(found, [index])
    low, high = area.limits(LEVEL)
    return f"{area.value:.3f}" + ("" if np.isnan(low) else f" [{low:.3f}, {high:.3f}]")


def _operating_point(axes: Axes, found: Predictions) -> None:
    predictions = found.labels, found.probabilities, found.positive
    sensitivity, specificity = (METRICS[name].formula(*predictions) for name in ("sensitivity", "specificity"))
    if np.isnan(sensitivity) or np.isnan(specificity):
        return
    label = f"threshold 0.5: sensitivity {sensitivity:.3f},\nspecificity {specificity:.3f}"
    axes.plot([1 - specificity], [sensitivity], "D", color="black", markersize=7, linestyle="none", label=label)
