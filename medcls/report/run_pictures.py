"""The pictures of a run: curves.png, and confusion matrix and ROC of each split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medcls.report.confusion import plot_confusion
from medcls.report.curves import plot_curves
from medcls.report.roc import plot_roc
from medcls.runs.history import Row
from medcls.runs.predictions import Predictions
from medcls.runs.run import validation_images


def draw_run(
    metrics: Mapping[str, Any],
    predictions: Mapping[str, Predictions],
    rows: Sequence[Row],
    folder: Path,
    *,
    vector: bool = False,
) -> None:
    """Write curves.png, confusion.png and roc.png, and of a test split confusion_test.png and roc_test.png.

    metrics: content of metrics.json; predictions: of the best epoch by split, "val" and perhaps "test"; vector: as SVG
    and PDF too, which takes longer than the training of a small net may.
    """
    epoch, classes = int(metrics["best"]["epoch"]), metrics["classes"]
    title = f"{'SIMULATED ' if metrics['simulated'] else ''}{metrics['data']}, {metrics['model']}"
    title += f" ({metrics['notice']})" if metrics["notice"] else ""
    validation = "test" if metrics.get("test_validates") else "validation"
    plot_curves(rows, epoch, title, folder / "curves.png", validation=validation, vector=vector)
    for split, found in predictions.items():
        ending = "_test.png" if split == "test" else ".png"
        of = f"{title}: {'test images' if split == 'test' else validation_images(metrics)}, epoch {epoch}"
        plot_confusion(found, classes, of, folder / f"confusion{ending}", vector=vector)
        plot_roc(found, classes, of, folder / f"roc{ending}", vector=vector)
