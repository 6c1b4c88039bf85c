"""Baselines beside nets: fitted to their training images, judged on the images that they were, and compared."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.atomic import write_json
from medcls.baseline.features import FEATURES
from medcls.baseline.fitted import fit
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.evaluation.effects import over_seeds_and_images
from medcls.evaluation.intervals import as_json, intervals
from medcls.evaluation.metrics import COMPARED
from medcls.evaluation.pooled import pool
from medcls.predict.nets import Net, find_nets, is_sweep
from medcls.predict.schema import ConfigWithPredict
from medcls.predict.training_images import TrainingImages, training_images
from medcls.report.baselines import FILE, print_baselines
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, validation_images
from medcls.sources.location import cache_folder
from medcls.sweep_report.design import read_sweep

Fitted = tuple[NDArray[np.float64], float]  # probabilities (N, C) of the judged images, seconds
BySeed = dict[int, Predictions]


@dataclass(frozen=True)
class Beside:
    """The nets of a variant and a baseline, judged on the same images."""

    nets: BySeed
    baseline: BySeed
    seconds: float


def baseline(config: ConfigWithPredict) -> dict[str, Any]:
    """Fit, compare, print, and write baseline.json into the folder of the run or sweep; returns its content.

    Raises UserError for anything but one finished run or sweep whose images are still what they were.
    """
    folder, variants = asked(config)
    runs = [run for nets in variants.values() for run in of_nets(nets)]
    split = judged_split(runs)
    fitted: dict[Any, dict[str, Fitted]] = {}  # seeds and variants mostly share their training images
    found = {name: beside(nets, split, config, fitted) for name, nets in variants.items()}
    flat = [(one.baseline, one.nets) for of_variant in found.values() for one in of_variant.values()]
    try:
        comparisons = iter(adjust([compare(*pair, COMPARED[:1])[0] for pair in flat]))
    except ValueError as error:
        raise UserError(f"run: the runs in {folder} cannot be compared with a baseline: {error}.") from error
    told = {name: as_told(of_variant, comparisons) for name, of_variant in found.items()}
    metrics = runs[0].metrics
    content = {
        "simulated": bool(metrics["simulated"]),
        "notice": "; ".join(sorted({str(run.metrics["notice"]) for run in runs if run.metrics.get("notice")})) or None,
        "data": metrics["data"],
        "images": "test images" if split == "test" else validation_images(metrics),
        "n": len(flat[0][1][min(flat[0][1])].names),
        "chosen_on_them": split == "val",
    } | ({"variants": told} if is_sweep(folder) else {"model": metrics["model"]} | told[""])
    write_json(folder / FILE, content)
    print_baselines(content, folder / FILE)
    return content


def asked(config: ConfigWithPredict) -> tuple[Path, dict[str, tuple[Net, ...]]]:
    """The folder that is named, and the nets of each variant of it; a run is the only one of its folder."""
    folder, allowed = config.run[0].expanduser(), {*config.own_code, *config.allow}
    if len(config.run) > 1:
        raise UserError(f"run: found {len(config.run)} folders, expected one finished run or one sweep: run=runs/<run>")
    if not is_sweep(folder):
        nets = find_nets([folder], config.variant, allowed).nets
        return (folder if folder.is_dir() else folder.absolute().parent.parent), {"": nets}
    names: list[str | None] = [config.variant]
    if config.variant is None:  # where none is done, it is told why
        sweep = read_sweep(folder)
        names = [name for name in sweep.variants if sweep.done(name)] or [None]
    return folder, {name or "": find_nets([folder], name, allowed).nets for name in names}


def of_nets(nets: Sequence[Net]) -> list[Run]:
    """The finished runs of nets."""
    runs = [net.run for net in nets if net.run is not None and net.run.done]
    if len(runs) < len(nets):
        raise UserError("run: found a net that is not finished, expected a finished run or sweep: run=runs/<run>")
    return runs


def judged_split(runs: Sequence[Run]) -> str:
    """Test images where every run has some, which in folds are the fold's own; else validation images."""
    folds = len({run.fold for run in runs}) > 1
    tested = all("test" in run.predictions and (not folds or run.metrics.get("test_is_fold")) for run in runs)
    return "test" if tested else "val"


def beside(
    nets: Sequence[Net], split: str, config: ConfigWithPredict, fitted: dict[Any, dict[str, Fitted]]
) -> dict[str, Beside]:
    """Each baseline beside the nets of a variant; ``fitted``: those fitted before, by the images, and added to."""
    of_runs: dict[str, list[Predictions]] = {name: [] for name in FEATURES}
    seconds = dict.fromkeys(FEATURES, 0.0)
    runs = of_nets(nets)
    for net, run in zip(nets, runs, strict=True):
        of_net = run.predictions[split]
        images = images_of(net, config)
        key = images.fingerprint, images.images.shape, tuple(net.how), of_net.names
        if key not in fitted:
            fitted[key] = {name: judged(name, images, split, of_net) for name in FEATURES}
        for name, (probabilities, took) in fitted[key].items():
            of_runs[name].append(replace(of_net, probabilities=probabilities))
            seconds[name] += took / len(runs)
    nets_by_seed = by_seed(runs, [run.predictions[split] for run in runs])
    return {name: Beside(nets_by_seed, by_seed(runs, of_runs[name]), seconds[name]) for name in FEATURES}


def images_of(net: Net, config: ConfigWithPredict) -> ImageSet:
    """The images that a net was trained and judged on."""
    found = training_images(net, cache_folder(config.data.cache_dir), {*config.own_code, *config.allow})
    if not isinstance(found, TrainingImages):
        raise UserError(f"run: there are no images to fit a baseline to: {found}.")
    return found.images


def judged(name: str, images: ImageSet, split: str, of_net: Predictions) -> Fitted:
    """What a regression on the features ``name``, fitted to training images, says of the images that the net judged."""
    began = time.monotonic()
    samples = images.table.samples
    at = {sample.name: i for i, sample in enumerate(samples) if sample.split == split}
    train, judge = images.indices("train"), np.array([at[one] for one in of_net.names])
    of = FEATURES[name]
    model = fit(of(images.images[train]), images.labels("train"), [samples[i].group for i in train])
    return model.predict_proba(of(images.images[judge])), time.monotonic() - began


def by_seed(runs: Sequence[Run], predictions: Sequence[Predictions]) -> BySeed:
    """Predictions of each seed, those of the folds of a cross-validation as one."""
    found: dict[int, list[Predictions]] = {}
    for run, one in zip(runs, predictions, strict=True):
        found.setdefault(run.seed, []).append(one)
    return {seed: pool(folds) if len(folds) > 1 else folds[0] for seed, folds in found.items()}


def as_told(of_variant: Mapping[str, Beside], comparisons: Iterator[Comparison]) -> dict[str, Any]:
    """The nets' metrics, each baseline's, and the difference between them."""
    nets = next(iter(of_variant.values())).nets
    return {
        "seeds": len(nets),
        "net": measured(nets),
        "baselines": {
            name: measured(one.baseline) | {"seconds": round(one.seconds, 1)} | as_compared(next(comparisons))
            for name, one in of_variant.items()
        },
    }


def measured(seeds: BySeed) -> dict[str, Any]:
    """The compared metrics with their intervals; over seeds where these differ."""
    runs = list(seeds.values())
    if len({run.probabilities.tobytes() for run in runs}) == 1:
        return {name: as_json(one) for name, one in intervals(runs[0], COMPARED).items()}
    return {metric.name: as_json(over_seeds_and_images(runs, metric)) for metric in COMPARED}


def as_compared(comparison: Comparison) -> dict[str, Any]:
    """The net's metric minus the baseline's."""
    limits = {"value": comparison.difference, "low": comparison.low, "high": comparison.high}
    verdicts = {"higher": "the net is shown to beat it", "lower": "the net is shown to be worse"}
    verdict = verdicts.get(comparison.verdict(), "the net is not shown to beat it")
    why = f" ({comparison.reason})" if comparison.reason else ""
    return {"net_minus_baseline": limits, "p_adjusted": comparison.adjusted, "verdict": f"{verdict}{why}"}
