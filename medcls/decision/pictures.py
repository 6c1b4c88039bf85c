"""Pictures of probabilities and of decisions by them: reliability, decision curve, precision and recall."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from medcls.decision.net_benefit import net_benefit
from medcls.decision.reliability import reliability
from medcls.evaluation.interval import LEVEL
from medcls.report.png import COLOURS, line_style, write_picture
from medcls.runs.predictions import Predictions

MOST_LINES = 9  # of classes: those of the most images


def draw_quality(
    found: Predictions,
    classes: Sequence[str],
    title: str,
    folder: Path,
    ending: str = "",
    *,
    average_precision: Mapping[str, float],
    threshold: float | None = None,
    prevalence: float | None = None,
    vector: bool = False,
) -> dict[str, str]:
    """Write reliability, precision_recall and, of two classes, decision_curve into a folder; returns kind -> file name.

    ending: of the names, before .png; average_precision: value, low and high, which take long to compute; threshold:
    marked in the decision curve; prevalence: that this is for.
    """
    drawn = {
        "reliability": _reliability(found, classes),
        "precision_recall": _precision_recall(found, classes, average_precision),
    }
    if len(classes) == 2 and (curve := _decision_curve(found, classes, threshold, prevalence)) is not None:
        drawn["decision_curve"] = curve
    names = {}
    for name, figure in drawn.items():
        figure.suptitle(fill(title, 64), fontsize=12)
        names[name] = f"{name}{ending}.png"
        write_picture(figure, folder / names[name], vector=vector)
    return names


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _reliability(found: Predictions, classes: Sequence[str]) -> Figure:
    """Share of hits over probability in bins, and below how many images have which probability."""
    figure = Figure(figsize=(6.4, 6.8), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    bins = reliability(found)
    x, y = (np.array(values) for values in zip(*((one.probability, one.share.value) for one in bins), strict=True))
    low, high = (np.array([getattr(one.share, end) for one in bins]) for end in ("low", "high"))
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1.2, label="calibrated")
    band = f"{LEVEL:.0%} interval of the share"
    axes.fill_between(x, low, high, color=COLOURS[0], alpha=0.18, linewidth=0, label=band)
    axes.plot(x, y, "o-", color=COLOURS[0], label=f"{len(bins)} bins of about {found.labels.size // len(bins)} images")
    two = len(classes) == 2
    of = classes[found.positive] if two else "the chosen class"
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), ylabel=f"share of images of {of}")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", framealpha=1)
    p = found.probabilities
    below.hist(p[:, found.positive] if two else p.max(axis=1), bins=np.linspace(0, 1, 41), color="0.6")
    below.set(xlabel=f"probability of {of}", ylabel="images")
    return figure


def _precision_recall(found: Predictions, classes: Sequence[str], average: Mapping[str, float]) -> Figure:
    """Precision over recall of the positive of two classes, else of each class against the rest."""
    figure, axes = _panel()
    counts = np.bincount(found.labels, minlength=len(classes))
    shown = [found.positive] if len(classes) == 2 else sorted(np.argsort(-counts, kind="stable")[:MOST_LINES])
    for i, k in enumerate(shown):
        if counts[k] == 0:
            continue
        precision, recall, _ = precision_recall_curve(found.labels == k, found.probabilities[:, k])
        axes.plot(recall, precision, drawstyle="steps-post", label=fill(f"{classes[k]}", 30), **line_style(i))
        axes.plot([0, 1], [counts[k] / counts.sum()] * 2, color=line_style(i)["color"], linestyle=":", linewidth=1)
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), xlabel="recall (sensitivity)", ylabel="precision (PPV)")
    mean = "" if len(classes) == 2 else f"mean of {len(classes)} classes: "
    axes.set_title(f"{mean}average precision {_shown(average)}; dotted: by chance", fontsize=10)
    if axes.lines:
        axes.legend(loc="lower left", framealpha=1)
    return figure


def _decision_curve(
    found: Predictions, classes: Sequence[str], threshold: float | None, prevalence: float | None
) -> Figure | None:
    """Net benefit over thresholds, with treat-all and treat-none; None where a class has no image."""
    curve = net_benefit(found, prevalence)
    if curve is None:
        return None
    figure, axes = _panel()
    axes.axhline(0, color="black", linewidth=1, linestyle="--", label="none called positive")
    axes.plot(curve.thresholds, curve.treat_all, **line_style(1), label="all called positive")
    axes.fill_between(curve.thresholds, curve.low, curve.high, color=COLOURS[0], alpha=0.18, linewidth=0)
    axes.plot(curve.thresholds, curve.net, **line_style(0), linewidth=2, label=f"net, {LEVEL:.0%} interval")
    if threshold is not None:
        axes.axvline(threshold, color="0.4", linewidth=1, label=f"threshold {threshold:.4g}")
    top = float(max(curve.high.max(), curve.treat_all[0]))
    axes.set(xlim=(0, 1), ylim=(-0.4 * top, 1.1 * top), xlabel="threshold probability", ylabel="net benefit")
    at = "the prevalence of these images" if prevalence is None else f"a prevalence of {prevalence:.4g}"
    axes.set_title(fill(f"{classes[found.positive]}, at {at}", 60), fontsize=10)
    axes.legend(loc="upper right", framealpha=1)
    return figure


def _shown(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f}" + ("" if np.isnan(one["low"]) else f" [{one['low']:.3f}, {one['high']:.3f}]")
