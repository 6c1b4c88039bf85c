"""Predictions of the net of a run's last epoch on validation images; a run keeps only those of the best epoch."""

import logging
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from medcls.errors import UserError
from medcls.pack.compared import compared
from medcls.pack.layout import LAST
from medcls.pack.recompute import last_is_best, measured
from medcls.predict.command import batch_size_of
from medcls.predict.nets import find_nets
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import Predictions, read_predictions
from medcls.runs.run import Run
from medcls.sources.load import load_image_set
from medcls.training.losses import probabilities

log = logging.getLogger(__name__)


def last_predictions(run: Run, allowed: Collection[str], within: float) -> Predictions | None:
    """Predictions of a finished run whose images are there and give its last epoch's table; else None, and a warning.

    None too where the last epoch is the best one. Of a run that was unpacked without its nets: those of its pack.
    """
    if last_is_best(run):
        return None
    if not RunFolder(run.folder).last.is_file() and (known := packed_last(run)) is not None:
        return known
    try:
        found = _judged(run, allowed)
    except (UserError, OSError, KeyError) as error:
        why = str(error).splitlines()[0].rstrip(".")
    else:
        table = measured(found, find_nets([run.folder], None, allowed).nets[0].module, ())
        if all(one.why or one.same(max(within, 1e-5)) for one in compared(run.metrics["last"]["val"], table, "")):
            return found
        why = "its images or the kind of machine are not those of training"
    log.warning("%s: the pack has the net of the last epoch but not its predictions: %s", run.folder, why)
    return None


def _judged(run: Run, allowed: Collection[str]) -> Predictions:
    net = find_nets([RunFolder(run.folder).last], None, allowed).nets[0]
    config, val = net.config(allowed), run.predictions["val"]
    assert config is not None
    images = load_image_set(config.data, config.image_size)
    at = {sample.name: i for i, sample in enumerate(images.table.samples) if sample.split == "val"}
    pixels, size = images.images[[at[name] for name in val.names]], batch_size_of(run.config)
    with torch.inference_mode():
        batches = [net.module(torch.from_numpy(pixels[i : i + size])) for i in range(0, len(pixels), size)]
    found = probabilities(torch.cat(batches), net.module.loss).numpy()
    return replace(val, probabilities=np.asarray(found))


def packed_last(run: Run) -> Predictions | None:
    """The same as a pack has it. Raises UserError where the file is damaged, or of other images."""
    if not (file := run.folder / LAST).is_file():
        return None
    try:
        found = read_predictions(file, run.metrics)["val"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{file}: damaged ({error}). Get the pack again from where it came from.") from error
    if found.names != run.predictions["val"].names:
        raise UserError(f"{file}: of other images than predictions.csv. Get the pack again from where it came from.")
    return found
