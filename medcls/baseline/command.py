"""Baselines beside a run: fitted to its training images, judged on its test images, and compared with its net."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from medcls.atomic import write_json
from medcls.baseline.features import FEATURES, SIDE
from medcls.baseline.fitted import fit
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.evaluation.intervals import as_json, intervals
from medcls.evaluation.metrics import COMPARED
from medcls.predict.nets import find_nets
from medcls.predict.schema import ConfigWithPredict
from medcls.predict.training_images import TrainingImages, training_images
from medcls.report.closing_table import cell, empty_table
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, validation_images
from medcls.sources.location import cache_folder

log = logging.getLogger(__name__)

FILE = "baseline.json"  # in the run folder


def baseline(config: ConfigWithPredict) -> dict[str, Any]:
    """Fit, compare, print, and write baseline.json into the run folder; returns its content.

    Raises UserError for anything but one finished run whose images are still what they were.
    """
    run, images = run_and_images(config)
    split = "test" if "test" in run.predictions else "val"
    of_net = run.predictions[split]
    found, seconds = {}, {}
    for name in FEATURES:
        began = time.monotonic()
        found[name] = judged(name, images, split, of_net)
        seconds[name] = round(time.monotonic() - began, 1)
    comparisons = adjust([compare({0: one}, {0: of_net}, COMPARED[:1])[0] for one in found.values()])
    content = {
        "simulated": bool(run.metrics["simulated"]),
        "notice": run.metrics.get("notice"),
        "model": run.metrics["model"],
        "data": run.metrics["data"],
        "images": "test images" if split == "test" else validation_images(run.metrics),
        "n": len(of_net.names),
        "chosen_on_them": split == "val",
        "net": measured(of_net),
        "baselines": {
            name: measured(one) | {"seconds": seconds[name]} | as_compared(comparison)
            for (name, one), comparison in zip(found.items(), comparisons, strict=True)
        },
    }
    write_json(run.folder / FILE, content)
    tell(content, run.folder / FILE)
    return content


def run_and_images(config: ConfigWithPredict) -> tuple[Run, ImageSet]:
    """The one run that is named, and its images."""
    allowed = {*config.own_code, *config.allow}
    nets = find_nets(config.run, None, allowed).nets
    run = nets[0].run
    if len(nets) > 1 or run is None or not run.done:
        raise UserError(
            f"run: found {len(nets)} nets or one that is not finished, expected one finished run: run=runs/<run>"
        )
    images = training_images(nets[0], cache_folder(config.data.cache_dir), allowed)
    if not isinstance(images, TrainingImages):
        raise UserError(f"run: there are no images to fit a baseline to: {images}.")
    return run, images.images


def judged(name: str, images: ImageSet, split: str, of_net: Predictions) -> Predictions:
    """What a regression on the features ``name``, fitted to training images, says of the images that the net judged."""
    samples = images.table.samples
    at = {sample.name: i for i, sample in enumerate(samples) if sample.split == split}
    train, judge = images.indices("train"), np.array([at[one] for one in of_net.names])
    of = FEATURES[name]
    model = fit(of(images.images[train]), images.labels("train"), [samples[i].group for i in train])
    return replace(of_net, probabilities=model.predict_proba(of(images.images[judge])))


def measured(predictions: Predictions) -> dict[str, Any]:
    """The compared metrics with their intervals."""
    return {name: as_json(one) for name, one in intervals(predictions, COMPARED).items()}


def as_compared(comparison: Comparison) -> dict[str, Any]:
    """The net's metric minus the baseline's."""
    limits = {"value": comparison.difference, "low": comparison.low, "high": comparison.high}
    verdicts = {"higher": "the net is shown to beat it", "lower": "the net is shown to be worse"}
    verdict = verdicts.get(comparison.verdict(), "the net is not shown to beat it")
    why = f" ({comparison.reason})" if comparison.reason else ""
    return {"net_minus_baseline": limits, "p_adjusted": comparison.adjusted, "verdict": f"{verdict}{why}"}


def tell(content: Mapping[str, Any], file: Path) -> None:
    """Print the table and the verdicts."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print(f"\n{content['model']} on {content['data']}, {content['n']} {content['images']}", style="bold")
    if content["simulated"]:
        console.print("SIMULATED DATA: these metrics say nothing about patients.", style="bold white on red")
    if content["notice"]:
        console.print(content["notice"], style="bold red")
    tested = COMPARED[0]
    table = empty_table("", *(metric.title for metric in COMPARED), f"net: {tested.title} more by")
    table.add_row(content["model"], *(cell(content["net"][metric.name]) for metric in COMPARED), "")
    for name, one in content["baselines"].items():
        table.add_row(name, *(cell(one[metric.name]) for metric in COMPARED), cell(one["net_minus_baseline"]))
    console.print(table)
    console.print(
        f"\nBaselines: logistic regressions fitted to the run's training images, on {SIDE} x {SIDE} pixels and on "
        "levels and texture. In brackets: 95% intervals."
    )
    for name, one in content["baselines"].items():
        console.print(f"{name}: {one['verdict']} (adjusted p {one['p_adjusted']:.2g}; {one['seconds']} s).")
    if content["chosen_on_them"]:
        console.print("The net's epoch was chosen on these images, the baselines were not: the net is flattered.")
    console.print(str(file), soft_wrap=True)
