"""Predicting from the nets and the images to the folder: all is checked before anything is written."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from medcls.atomic import write_json
from medcls.config import Config
from medcls.config.targets import targets_in
from medcls.data.listing import listing
from medcls.decision.pictures import draw_quality
from medcls.decision.tables import print_quality
from medcls.errors import Stopped, UserError
from medcls.evaluation.metrics import Metric
from medcls.evaluation.own_metrics import own_metrics
from medcls.predict.deciding import Deciding, deciding
from medcls.predict.elsewhere import compared
from medcls.predict.folder import PredictFolder
from medcls.predict.inputs import Inputs, list_inputs
from medcls.predict.judging import Judged, device_of, judge_files, remove_parts
from medcls.predict.nets import Ensemble, find_nets, mean_and_spread
from medcls.predict.new_folder import output_path
from medcls.predict.ordinary import ordinary
from medcls.predict.overlap import find_overlap, without_seen
from medcls.predict.saved import check_folder, chosen_counts, request_of, write_summary, write_table_of
from medcls.predict.schema import ConfigWithPredict
from medcls.predict.training_images import TrainingImages, training_images
from medcls.report.side_by_side import print_side_by_side
from medcls.runs.folder import locked
from medcls.runs.predictions import Predictions
from medcls.runs.reading import read_json
from medcls.sources.location import cache_folder
from medcls.subgroups.shown import print_subgroups
from medcls.training.device import use_device

log = logging.getLogger(__name__)


def predict(config: ConfigWithPredict, given: Collection[str]) -> int:
    """Judge the images and leave the folder; a second start of the same command finishes what is missing.

    given: keys of the command; without batch_size that of the run holds. Returns the exit status: 1 where files cannot
    be read. Raises UserError for a mistake of the user's, before anything is written.
    """
    use_device(config.trainer)
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    of_run = ensemble.nets[0].run.config if ensemble.nets[0].run else {}
    inputs = list_inputs(config.data, ensemble.classes, classes_of(of_run), config.labelled)
    own = metrics_of_own(ensemble, allowed)
    how = deciding(ensemble, config.threshold, given, config.calibrate)
    name = f"predict_{inputs.title}_by_{ensemble.title}"
    folder = PredictFolder(output_path(config.output, name, config.data, ensemble.runs))
    check_folder(folder, {}, inputs, config.data)  # before the images are compared, which takes a while
    trained = [training_images(net, cache_folder(config.data.cache_dir), allowed) for net in ensemble.nets]
    inputs, notice = never_seen(inputs, trained, config)
    batch_size = config.batch_size if "batch_size" in given else batch_size_of(of_run)
    settings = {"batch_size": batch_size, "max_pixels": config.data.max_pixels}
    request = request_of(ensemble, inputs, settings, notice, how, own)
    check_folder(folder, request, inputs, config.data)
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path, "another process is predicting into this folder"):
        summary = folder.read_summary()
        if summary is None:
            write_json(folder.request, request)
            judged = judged_so_far_and_now(folder, inputs, ensemble, settings, config)
            summary = finish(folder, inputs, judged, ensemble, trained[0], own, notice, how)
        remove_parts(folder.parts)
    tell_end(folder, summary)
    return 1 if summary["unreadable"] else 0


def judged_so_far_and_now(
    folder: PredictFolder, inputs: Inputs, ensemble: Ensemble, settings: Mapping[str, int], config: ConfigWithPredict
) -> Judged:
    """Predictions of the nets on all images, some of which an earlier start may have judged."""
    folder.parts.mkdir(exist_ok=True)
    device = device_of(config.trainer.accelerator)
    try:
        return judge_files(ensemble, inputs.paths, folder.parts, device=device, **settings)
    except Stopped:
        log.info("stopped; the same command finishes what is missing")
        raise


def never_seen(inputs: Inputs, trained: Sequence[TrainingImages | str], config: Config) -> tuple[Inputs, str | None]:
    """The images to judge, and what must be said beside their metrics; unlabelled images are not compared.

    Raises UserError for images that the nets were trained on, unless ``audit.on_leak`` says otherwise.
    """
    if inputs.labels is None:
        return inputs, None
    if not config.audit.enabled:
        return inputs, "not compared with the training images (audit=none)"
    if away := [one for one in trained if isinstance(one, str)]:
        notice = f"not compared with the training images: {away[0]}"
        log.warning("%s", notice)
        return inputs, notice
    there = [one for one in trained if not isinstance(one, str)]
    return without_seen(inputs, find_overlap(inputs, there, config), config.audit.on_leak)


def finish(
    folder: PredictFolder,
    inputs: Inputs,
    judged: Judged,
    ensemble: Ensemble,
    trained: TrainingImages | str,
    own: Sequence[Metric],
    notice: str | None,
    how: Deciding,
) -> dict[str, Any]:
    """Write the results; returns the summary. Raises UserError where no file can be read."""
    unreadable = {name: why for name, why in zip(inputs.names, judged.reasons, strict=True) if why}
    listed = listing([f"{name}   {why}" for name, why in unreadable.items()])
    if len(unreadable) == len(inputs.names):
        remove_parts(folder.parts)
        folder.request.unlink()
        raise UserError(f"{inputs.root}: none of {len(inputs.names)} images can be read:\n{listed}")
    if unreadable:
        log.warning("%d of %d images cannot be read:\n%s", len(unreadable), len(inputs.names), listed)
        keep = np.flatnonzero(judged.readable)
        inputs, judged = inputs.select(keep), judged.select(keep)
    found = ordinary(judged, ensemble, trained)
    found.warn(str(inputs.root))
    write_table_of(folder.predictions, inputs, judged, ensemble, found, how)
    mean = mean_and_spread(judged.probabilities)[0]
    log.info("chosen: %s", chosen_counts(how.decide(mean), ensemble.classes))
    if inputs.labels is not None:
        groups = inputs.groups if any(inputs.groups) else ()
        external = Predictions(inputs.title, inputs.names, inputs.labels, mean, ensemble.positive_index, groups)
        title = f"{'SIMULATED ' if ensemble.simulated else ''}{ensemble.title} on {inputs.title}"
        metrics = compared(external, ensemble, own, notice, how, inputs.further)
        draw_quality(
            how.applied(external)[0],
            ensemble.classes,
            title,
            folder.path,
            average_precision=metrics["quality"]["external"]["average_precision"],
            threshold=how.shown_threshold,
            prevalence=how.prevalence if how.stated else None,
        )
        write_json(folder.metrics, metrics)
    return write_summary(folder, inputs, ensemble, found, unreadable)


def tell_end(folder: PredictFolder, summary: Mapping[str, Any]) -> None:
    """Say how many images were judged, how well the nets do on them, and where the folder is."""
    if folder.metrics.is_file():
        metrics = read_json(folder.metrics, dict[str, Any])
        print_side_by_side(metrics)
        print_quality(metrics)
        print_subgroups(metrics)
    elif summary["simulated"]:
        log.warning("SIMULATED: a net was trained on simulated images; these probabilities say nothing about patients.")
    log.info("%d of %d images judged", summary["judged"], summary["images"])
    if summary["unreadable"]:
        log.info("%d cannot be read; summary.json lists them", len(summary["unreadable"]))
    log.info("%s", folder.predictions)


def classes_of(config: Mapping[str, Any]) -> dict[str, str] | None:
    """data.classes of a run's configuration, as anybody may have written it."""
    data = config.get("data")
    classes = data.get("classes") if isinstance(data, Mapping) else None
    return {str(token): str(name) for token, name in classes.items()} if isinstance(classes, Mapping) else None


def batch_size_of(config: Mapping[str, Any]) -> int:
    """batch_size of a run's configuration, so that probabilities equal those of predictions.csv bit for bit."""
    size = config.get("batch_size")
    return size if isinstance(size, int) and size >= 1 else 8


def metrics_of_own(ensemble: Ensemble, allowed: Collection[str]) -> list[Metric]:
    """The user's own metrics of the first net's run, where the command allows their code."""
    named = ensemble.nets[0].run.config.get("metrics") if ensemble.nets[0].run else None
    if not named:
        return []
    if unknown := sorted(targets_in(named) - set(allowed)):
        log.warning("your own metrics are left out; to include them: allow=[%s]", ",".join(unknown))
        return []
    config = ensemble.nets[0].config(allowed)
    return [] if config is None else own_metrics(config.metrics)
