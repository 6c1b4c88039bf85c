"""Whether more training images would help: nets trained on parts of them, and what twice as many would give."""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from medcls.document.blocks import Note, Picture, Section, Table, Text
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.learning_curve import FEWEST_SIZES, Extrapolation, extrapolate
from medcls.evaluation.metrics import METRICS, title_of
from medcls.report.png import line_style, write_picture
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_json
from medcls.runs.run import Run
from medcls.sweep_report.answers import in_words
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.knobs import name_variant
from medcls.sweep_report.ranking import show_interval
from medcls.sweep_report.silent import silent_nets
from medcls.sweep_report.verdicts import signed

KEY = "data.train_fraction"
_TIMES = 2
_MATTERS = 0.01  # gain that counts as help, unless the sweep names a margin

Curve = dict[int, list[float]]  # number of training images -> metric of each net


def more_data(sweep: Sweep, split: str) -> Section | None:
    """The section, where ``data.train_fraction`` was swept: a learning curve for each setting of the other keys."""
    if KEY not in sweep.keys:
        return None
    curves, mute = curves_of(sweep, split)
    if not curves:
        return None
    title, rows, said = title_of(sweep.metric), [], []
    n_validation = max(len(run.predictions[split].names) for run in sweep.runs if run.done)
    twice = {name: _extrapolated(curve, _TIMES, n_validation) for name, curve in curves.items()}
    for name, curve in curves.items():
        for size, values in sorted(curve.items()):
            spread = f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""
            rows.append((*([name] if len(curves) > 1 else []), f"{size:,}", str(len(values)), _mean(values), spread))
        said.append(Text(f"{f'{in_words(name)}: ' if len(curves) > 1 else ''}{_said(sweep, twice[name], title)}"))
    columns = (*(["variant"] if len(curves) > 1 else []), "training images", "nets", f"mean {title}", "lowest, highest")
    _plot(sweep, curves, n_validation, title)
    picture = Picture("pictures/more_data.png", f"{title} over the number of training images, extrapolated to twice")
    left_out = f" {mute} nets that say nothing are left out." if mute else ""
    note = Note(
        "From curves of different curvature fitted to the log error, weighted by how well they fit; the interval is "
        "for the mean of as many nets, on these validation images, if images like these are added. Each seed draws "
        f"its own parts, each contained in the next larger.{left_out}"
    )
    return Section("More training images", (*said, picture, Table(columns, tuple(rows)), note))


def curves_of(sweep: Sweep, split: str) -> tuple[Mapping[str, Curve], int]:
    """Metrics by number of training images, for each setting of the other keys; and how many nets were left out."""
    mute = [one for one in silent_nets(sweep, split) if one.constant or sweep.metric != "auroc"]
    silent = {one.run.name for one in mute}
    found: dict[str, Curve] = defaultdict(lambda: defaultdict(list))
    for run in sweep.runs:
        if run.done and run.name not in silent:
            others = {key: value for key, value in run.values.items() if key != KEY}
            found[name_variant(others)][_n_training(run)].append(_value(run, sweep.metric, split))
    return {name: dict(curve) for name, curve in found.items()}, len(silent)


def _n_training(run: Run) -> int:
    counts: Mapping[str, Any] = read_json(RunFolder(run.folder).data, dict[str, Any])["counts"]["train"]
    return sum(map(int, counts.values()))


def _value(run: Run, metric: str, split: str) -> float:
    found = run.predictions[split]
    return float(METRICS[metric].formula(found.labels, found.probabilities, found.positive))


def _extrapolated(curve: Curve, times: float, n_validation: int) -> Extrapolation:
    sizes = [size for size, values in curve.items() for _ in values]
    values = [value for of_size in curve.values() for value in of_size]
    return extrapolate(sizes, values, times * max(sizes), n_validation)


def _mean(values: list[float]) -> str:
    return f"{np.mean(values):.3f}"


def _said(sweep: Sweep, twice: Extrapolation, title: str) -> str:
    """What twice the images would give, in a sentence."""
    if math.isnan(twice.value.value):
        return (
            f"What more training images would give cannot be estimated: that takes nets on {FEWEST_SIZES} or more "
            f"parts of them, {FEWEST_SIZES + 2} nets in all, such as {KEY}=0.1,0.25,0.5,1 with seed=0,1,2."
        )
    margin, gain = sweep.margin or _MATTERS, twice.gain
    if gain.low >= margin:
        verdict = "more images would help"
    elif gain.high < margin:
        verdict = f"the gain is below {margin:g}"
    else:
        verdict = f"whether the gain reaches {margin:g} is open"
    return (
        f"With twice the training images ({twice.n:,.0f}), {title} {show_interval(twice.value)} is expected, "
        f"{signed(gain.value)} [{signed(gain.low)}, {signed(gain.high)}] compared with all present images: {verdict}."
    )


def _plot(sweep: Sweep, curves: Mapping[str, Curve], n_validation: int, title: str) -> None:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        style, sizes = line_style(i), sorted(curve)
        for size in sizes:
            axes.plot([size] * len(curve[size]), curve[size], "o", color=style["color"], markersize=4, alpha=0.6)
        axes.plot(sizes, [np.mean(curve[size]) for size in sizes], **style, label=in_words(name))
        ahead = [_extrapolated(curve, times, n_validation) for times in np.geomspace(1, _TIMES, 9)]
        x, of = [one.n for one in ahead], [one.value for one in ahead]
        axes.plot(x, [one.value for one in of], color=style["color"], linestyle=":", linewidth=1.5)
        axes.fill_between(x, [v.low for v in of], [v.high for v in of], color=style["color"], alpha=0.18, linewidth=0)
    if len(curves) > 1:
        axes.legend(fontsize=9)
    axes.set(xscale="log", xlabel="training images", ylabel=f"{'SIMULATED ' if sweep.simulated else ''}{title}")
    figure.suptitle(f"dotted: expected with more images, band: its {LEVEL:.0%} interval", fontsize=9.5)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    write_picture(figure, sweep.folder / "pictures/more_data.png")
