"""A net trained as another was, on shuffled labels: maps that it shares with that net are of the images alone."""

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import nn

from medcls.assembly import assemble
from medcls.config import Config
from medcls.data.image_set import ImageSet, fingerprint
from medcls.errors import UserError
from medcls.host.quiet import quiet_lightning
from medcls.host.stop import stopping_in_order
from medcls.predict.nets import Net
from medcls.predict.training_images import TrainingImages, training_images
from medcls.runs.folder import RunFolder
from medcls.sources.location import cache_folder
from medcls.training.history import History

log = logging.getLogger(__name__)


def with_shuffled_labels(images: ImageSet, seed: int) -> ImageSet:
    """The image set with the labels of its training images shuffled, as many of each class as before."""
    at, samples = images.indices("train"), list(images.table.samples)
    dealt = np.random.default_rng(seed).permutation(images.labels("train"))
    for i, label in zip(at.tolist(), dealt.tolist(), strict=True):
        samples[i] = replace(samples[i], label=label)
    table = replace(images.table, samples=tuple(samples))
    return replace(images, table=table, fingerprint=fingerprint(table, images.digests))


def to_train_on(net: Net, config: Config, allowed: Collection[str]) -> TrainingImages:
    """What the net was trained on. Raises UserError where it is not available."""
    found = training_images(net, cache_folder(config.data.cache_dir), allowed)
    if isinstance(found, str):
        raise UserError(f"explain.retrain: the run's own images are not available: {found}.\n  Leave it out.")
    return found


def trained_on_shuffled_labels(trained: TrainingImages, given: Config) -> tuple[nn.Module, float]:
    """The net after the last epoch of such a training, and the share of the shuffled labels that it has learned.

    trained: images and configuration of the net's own training, whose loggers and callbacks are left out; given: its
    ``trainer.accelerator`` and the ``seed`` of the shuffling. Nothing of it is kept. Raises Stopped on a signal.
    """
    there = trained.config
    trainer = there.trainer.model_copy(update={"patience": None, "accelerator": given.trainer.accelerator})
    logger = there.logger.model_copy(update={"tensorboard": False, "pictures": False})
    bare = {"trainer": trainer, "logger": logger, "loggers": [], "callbacks": [], "metrics": [], "resume": None}
    config, history = there.model_copy(update=bare), History()
    log.info("training on shuffled labels: %d epochs", config.epochs)
    with TemporaryDirectory() as temporary, quiet_lightning(), stopping_in_order() as late:
        folder = RunFolder(Path(temporary))
        folder.best.parent.mkdir()
        images = with_shuffled_labels(trained.images, given.seed)
        training = assemble(config, folder, images, history, [], late, swept=(), show=False)
        training.trainer.fit(training.classifier, training.data)
    return training.classifier.net.eval(), float(history.rows[-1]["train_accuracy"])
