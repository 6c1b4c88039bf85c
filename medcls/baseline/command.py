"""Baselines beside nets: fitted to their training images, judged on the images that they were, and compared."""

import os
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
from medcls.predict.nets import Ensemble, Net, find_nets, is_sweep
from medcls.predict.schema import ConfigWithPredict
from medcls.predict.training_images import TrainingImages, training_images
from medcls.report.baselines import FILE, print_baselines
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run
from medcls.sources.location import cache_folder
from medcls.sweep_report.changed_images import changed_images
from medcls.sweep_report.design import Sweep, read_sweep
from medcls.sweep_report.trials import trials
from medcls.sweep_report.verdicts import images_of, split_of

Fitted = tuple[NDArray[np.float64], float]  # probabilities (N, C) of the judged images, seconds
BySeed = dict[int, Predictions]


@dataclass(frozen=True)
class Request:
    """What is named. names: the variants to compare, of a run its only one; ensembles: the nets of each."""

    sweep: Sweep
    names: tuple[str, ...]
    ensembles: tuple[Ensemble, ...]

    def nets(self) -> dict[Path, Net]:
        """Each net by the folder of its run."""
        return {net.run.folder.resolve(): net for one in self.ensembles for net in one.nets if net.run}


@dataclass(frozen=True)
class Judged:
    """The nets of a variant and each baseline, on the same images; ``seconds``: of fitting, a mean over the nets."""

    nets: BySeed
    baselines: dict[str, BySeed]
    seconds: dict[str, float]


def baseline(config: ConfigWithPredict) -> dict[str, Any]:
    """Fit, compare, print, and write baseline.json into the folder of the run or sweep; returns its content.

    Raises UserError for anything but one finished run or sweep whose images are still what they were.
    """
    what = request_of(config)
    sweep, split, fitting = what.sweep, split_of(what.sweep), Fitting(config, what.nets())
    try:
        found = {name: judged(sweep, name, split, fitting) for name in what.names}
        pairs = [(of, one.nets) for one in found.values() for of in one.baselines.values()]
        comparisons = iter(adjust([compare(*pair, COMPARED[:1])[0] for pair in pairs]))
    except ValueError as error:
        raise UserError(f"run: the runs in {sweep.folder} cannot be compared with a baseline: {error}.") from error
    results = {name: as_result(one, comparisons) for name, one in found.items()}
    metrics = next(run.metrics for run in sweep.runs if run.done)
    notices = {notice for one in what.ensembles for notice in one.notices} | {changed_images(sweep.runs)} - {""}
    content = {
        "simulated": any(one.simulated for one in what.ensembles),
        "nets": {os.path.relpath(folder, sweep.folder.resolve()): net.digest for folder, net in what.nets().items()},
        "notice": "; ".join(sorted(notices)) or None,
        "data": metrics["data"],
        "images": images_of(sweep, split),
        "n": len(next(iter(pairs[0][1].values())).names),
        "chosen_on_them": split == "val",
    } | ({"variants": results} if is_sweep(sweep.folder) else {"model": metrics["model"]} | results[what.names[0]])
    write_json(sweep.folder / FILE, content)
    print_baselines(content, sweep.folder / FILE)
    return content


def request_of(config: ConfigWithPredict) -> Request:
    """The run or sweep that is named, with its nets. Raises UserError for any other, and for an unfinished run."""
    path, allowed = config.run[0].expanduser(), {*config.own_code, *config.allow}
    if len(config.run) > 1:
        raise UserError(f"run: found {len(config.run)} folders, expected one finished run or one sweep: run=runs/<run>")
    if not is_sweep(path):
        only = find_nets([path], config.variant, allowed)
        if (run := only.nets[0].judged_run) is None:
            raise UserError(f"run: {only.unjudged}. Expected a finished run or sweep: run=runs/<run>")
        sweep = read_sweep(run.folder)
        if not sweep.variants:
            raise UserError(f"{RunFolder(run.folder).config}: missing or damaged. Restore it from a copy.")
        return Request(sweep, tuple(sweep.variants), (only,))
    sweep, wanted = read_sweep(path), [config.variant]
    if config.variant is None:  # where none is done, this says why
        wanted = [name for name in sweep.variants if sweep.done(name)] or [None]
    ensembles = tuple(find_nets([path], name, allowed) for name in wanted)
    return Request(sweep, tuple(name for name in wanted if name is not None), ensembles)


class Fitting:
    """Baselines fitted to the images of runs, once where these are the same, as of most seeds and variants."""

    def __init__(self, config: ConfigWithPredict, nets: Mapping[Path, Net]) -> None:
        self.cache, self.allowed, self.nets = config.data.cache_dir, {*config.own_code, *config.allow}, nets
        self.known: dict[Any, dict[str, Fitted]] = {}

    def of(self, run: Run, split: str) -> dict[str, Fitted]:
        """Predictions of each baseline on the images that the run's net judged."""
        net, names = self.nets[run.folder.resolve()], run.predictions[split].names
        key = net.images.get("fingerprint"), tuple(net.how), names
        if key not in self.known:
            images = training_images(net, cache_folder(self.cache), self.allowed)
            if not isinstance(images, TrainingImages):
                raise UserError(f"run: there are no images to fit a baseline to: {images}.")
            self.known[key] = {name: fitted(name, images.images, split, names) for name in FEATURES}
        return self.known[key]


def fitted(name: str, images: ImageSet, split: str, names: Sequence[str]) -> Fitted:
    """Predictions of a regression on the features ``name``, fitted to training images, on the images the net judged."""
    began = time.monotonic()
    samples = images.table.samples
    at = {sample.name: i for i, sample in enumerate(samples) if sample.split == split}
    train, judge = images.indices("train"), np.array([at[one] for one in names])
    of = FEATURES[name]
    model = fit(of(images.images[train]), images.labels("train"), [samples[i].group for i in train])
    return model.predict_proba(of(images.images[judge])), time.monotonic() - began


def judged(sweep: Sweep, variant: str, split: str, fitting: Fitting) -> Judged:
    """The nets of a variant and the baselines. Raises ValueError where folds are not those of one cross-validation."""
    complete = [trial for trial in trials(sweep, variant) if trial.complete]
    found = Judged({one.seed: one.predictions(split) for one in complete}, {}, {})
    of_runs = {run.folder: fitting.of(run, split) for trial in complete for run in trial.done}
    for name in FEATURES:
        found.baselines[name] = {
            trial.seed: replace(
                trial, runs=tuple(saying(run, split, of_runs[run.folder][name][0]) for run in trial.done)
            ).predictions(split)
            for trial in complete
        }
        found.seconds[name] = float(np.mean([one[name][1] for one in of_runs.values()] or [0.0]))
    return found


def saying(run: Run, split: str, probabilities: NDArray[np.float64]) -> Run:
    """The run as if its net had predicted something else."""
    return replace(run, predictions={split: replace(run.predictions[split], probabilities=probabilities)})


def as_result(one: Judged, comparisons: Iterator[Comparison]) -> dict[str, Any]:
    """The nets' metrics, each baseline's, and the difference between them."""
    return {
        "seeds": len(one.nets),
        "net": measured(one.nets),
        "baselines": {
            name: measured(of) | {"seconds": round(one.seconds[name], 1)} | as_compared(next(comparisons))
            for name, of in one.baselines.items()
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
