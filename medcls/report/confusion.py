"""What a net confuses: its confusion matrix."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from medcls.report.png import write_picture
from medcls.runs.predictions import Predictions

MOST_IN_CELLS = 40  # classes up to which cells hold their counts
MOST_NAMES = 40  # of classes along an axis


def plot_confusion(found: Predictions, classes: Sequence[str], title: str, path: Path, *, vector: bool = False) -> None:
    """Picture of how many images of each class (row) were taken for which (column), and the share of the row.

    The most probable class is the predicted one.
    """
    labels, probabilities = found.labels, found.probabilities
    counts = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(classes)))
    # A class without images has an empty row, not a division by zero.
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(5.2, 3.4 + 0.72 * len(classes)), 20)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(fill(title, int(side * 10)), fontsize=12)  # of the figure: an axes' own runs over the color bar
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
    write_picture(figure, path, vector=vector)
