"""What each threshold would give: the ROC curve with its interval, and of many classes their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from medcls.evaluation.areas import measure_auroc
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.metrics import METRICS
from medcls.evaluation.resampled import draw_counts, draw_group_counts
from medcls.report.png import COLOURS, line_style, write_picture
from medcls.runs.predictions import Predictions

MOST_PANELS = 15  # classes that get one of their own
_COLUMNS = 4  # of panels
_RESAMPLES = 400
_GRID = np.linspace(0, 1, 201)  # false positive rates at which curves are averaged

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Sensitivities at false positive rates, the area below, and where asked sensitivities on resamples (R, G).

    Those are at the rates of ``_GRID``.
    """

    rates: Float
    sensitivities: Float
    area: Interval
    drawn: Float | None = None


def plot_roc(found: Predictions, classes: Sequence[str], title: str, path: Path, *, vector: bool = False) -> None:
    """Picture of the ROC of the positive class where there are two, else of each class against the rest and their mean.

    Bands are pointwise 95 % bootstrap intervals of the sensitivity, over patients where these are known. A class that
    no image or every image belongs to has no curve and says so. Of many classes those of the lowest AUROC are shown.
    """
    curves = {k: _curve(found, k) for k in ([found.positive] if len(classes) == 2 else range(len(classes)))}
    lowest = sorted(curves, key=lambda k: curve.area.value if (curve := curves[k]) else -1)
    shown, counts = sorted(lowest[:MOST_PANELS]), _drawn(found)
    known = {k: _with_band(found, k, one, counts) if k in shown else one for k, one in curves.items() if one}
    if len(classes) == 2:
        figure = _one_panel(found, classes[found.positive], known.get(found.positive))
    else:
        figure = _panel_of_each(found, classes, known, shown)
    if len(shown) < len(curves):
        title = f"{title} (of {len(classes)} classes the {len(shown)} of the lowest {METRICS['auroc'].title})"
    figure.suptitle(fill(title, 64 if len(classes) == 2 else 110), fontsize=12)
    figure.supxlabel("1 - specificity (false positive rate)", fontsize=10)
    figure.supylabel("sensitivity (true positive rate)", fontsize=10)
    for axes in figure.axes:
        axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
        axes.grid(alpha=0.3)
    write_picture(figure, path, vector=vector)


def _one_panel(found: Predictions, positive: str, curve: Curve | None) -> Figure:
    figure = Figure(figsize=(6.4, 6.8), layout="constrained")
    axes = figure.subplots()
    _draw(axes, curve, _named(found, found.positive, positive), line_style(0))
    _operating_point(axes, found)
    axes.legend(loc="lower right", framealpha=1)
    return figure


def _panel_of_each(
    found: Predictions, classes: Sequence[str], known: Mapping[int, Curve], shown: Sequence[int]
) -> Figure:
    """The mean of all classes, and each of those shown before the others in gray."""
    rows = -(-(len(shown) + 1) // _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 3.2 * rows + 0.7), layout="constrained")
    first, *others = figure.subplots(rows, _COLUMNS, squeeze=False).flat
    mean = _mean(found, [*known.values()]) if len(known) == len(classes) else None
    _draw(first, mean, f"mean of {len(classes)} classes", {"color": "black"})
    for i, (axes, k) in enumerate(zip(others, shown, strict=False)):
        for other in (known[one] for one in shown if one in known):
            axes.plot(other.rates, other.sensitivities, color="0.85", linewidth=0.8, zorder=0)
        _draw(axes, known.get(k), _named(found, k, classes[k]), line_style(i))
    for axes in others[len(shown) :]:
        axes.remove()
    return figure


def _area(found: Predictions, classes: Sequence[int] | None) -> Interval:
    """AUROC of classes against the rest, or of those that count, with its interval."""
    measured = measure_auroc(found, classes)
    return Interval(measured.value, *measured.limits(LEVEL))


def _shown(area: Interval) -> str:
    limits = "" if np.isnan(area.low) else f" [{area.low:.3f}, {area.high:.3f}]"
    return f"{area.value:.3f}{limits}"


def _named(found: Predictions, k: int, name: str) -> str:
    """A class, with its number of images where that leaves its curve undefined."""
    n = int((found.labels == k).sum())
    return name if 0 < n < len(found.labels) else f"{name}: {n} of {len(found.labels)} images"


def _draw(axes: Axes, curve: Curve | None, name: str, style: dict[str, Any]) -> None:
    """One curve with its band, named in the legend, and above the panel where it is one of several."""
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1.2, label="chance")
    label = f"undefined, {name}" if curve is None else f"{METRICS['auroc'].title} {_shown(curve.area)}, {name}"
    if curve is None:
        axes.plot([], [], **style, label=fill(label, 34))
    else:
        axes.plot(curve.rates, curve.sensitivities, **style, linewidth=2, label=fill(label, 34))
    if curve is not None and curve.drawn is not None:
        low, high = np.quantile(curve.drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        band = f"{LEVEL:.0%} interval of the sensitivity"
        axes.fill_between(_GRID, low, high, color=style["color"], alpha=0.18, linewidth=0, label=band)
    if isinstance(axes.figure, Figure) and len(axes.figure.axes) > 1:
        axes.set_title(fill(label, 30), fontsize=10)


def _drawn(found: Predictions) -> Float:
    """How often each image was drawn in each resample (R, N), the same for the curves of all classes."""
    draw: Any = partial(draw_group_counts, groups=found.groups) if any(found.groups) else draw_counts
    return np.concatenate(list(draw(found.labels, _RESAMPLES, np.random.default_rng(0))))


def _curve(found: Predictions, k: int) -> Curve | None:
    """That of class k against the rest; None where no image or every image is of it."""
    is_class, score = found.labels == k, np.asarray(found.probabilities[:, k], dtype=np.float64)
    if is_class.all() or not is_class.any():
        return None
    rates, sensitivities, _ = roc_curve(is_class, score)
    return Curve(rates, sensitivities, _area(found, [k]))


def _with_band(found: Predictions, k: int, curve: Curve, counts: Float) -> Curve:
    """The curve of class k with its sensitivities on resamples."""
    score = np.asarray(found.probabilities[:, k], dtype=np.float64)
    return replace(curve, drawn=_sensitivity(found.labels == k, score, counts))


def _mean(found: Predictions, curves: Sequence[Curve]) -> Curve:
    """Mean sensitivity of all classes at each rate, and on each resample where all classes have theirs."""
    steps = [np.interp(_GRID, curve.rates, curve.sensitivities) for curve in curves]
    each = [curve.drawn for curve in curves if curve.drawn is not None]
    drawn = np.mean(each, axis=0) if len(each) == len(curves) else None
    rates, means = np.append(0, _GRID), np.append(0, np.mean(steps, axis=0))
    return Curve(rates, means, _area(found, None), drawn)


def _sensitivity(is_class: NDArray[np.bool_], score: Float, counts: Float) -> Float:
    """Sensitivity (R, G) at each rate of ``_GRID``, of images drawn ``counts`` (R, N) times; ties are one step."""
    order = np.argsort(-score)
    last = np.append(np.diff(score[order]) != 0, True)
    rates = []
    for side in (~is_class, is_class):
        passed = np.cumsum(counts[:, order] * side[order], axis=1)
        rates.append(np.hstack([np.zeros((len(counts), 1)), (passed / passed[:, -1:])[:, last]]))
    # Of several sensitivities at one rate the highest, which is the last.
    return np.stack([np.interp(_GRID, wrong, right) for wrong, right in zip(*rates, strict=True)])


def _operating_point(axes: Axes, found: Predictions) -> None:
    predictions = found.labels, found.probabilities, found.positive
    sensitivity, specificity = (METRICS[name].formula(*predictions) for name in ("sensitivity", "specificity"))
    if np.isnan(sensitivity) or np.isnan(specificity):
        return
    label = f"threshold 0.5: sensitivity {sensitivity:.3f},\nspecificity {specificity:.3f}"
    axes.plot([1 - specificity], [sensitivity], "D", color=COLOURS[-1], markersize=7, linestyle="none", label=label)
