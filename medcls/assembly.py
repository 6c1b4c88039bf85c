"""Assembles what trains one network: its net, its batches, the Trainer and all that watches it."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import pytorch_lightning as pl

from medcls.config import Config
from medcls.data.datamodule import ImageDataModule
from medcls.data.image_set import ImageSet
from medcls.engine.choice import why_single
from medcls.engine.chunks import ChunkedImages
from medcls.engine.lone_image import takes_one_image
from medcls.engine.rates import LendRates
from medcls.engine.steps import take_many_steps
from medcls.evaluation.plateau import Plateau, constant_of
from medcls.host.progress import Progress
from medcls.models.pretrained import to_be_restored
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import positive_index
from medcls.tensorboard.callback import TensorBoard
from medcls.training.build import build_callbacks, build_classifier, build_loggers, build_trainer
from medcls.training.checkpoints import KeepBestAndLast
from medcls.training.classifier import Classifier, MetricFunction
from medcls.training.history import History
from medcls.training.randomness import SeedEpochs

if TYPE_CHECKING:
    from medcls.evaluation.metrics import Metric

log = logging.getLogger(__name__)


class Training(NamedTuple):
    """What trains one network: Lightning's Trainer, and what it fills."""

    trainer: pl.Trainer
    classifier: Classifier
    data: ImageDataModule
    history: History
    board: TensorBoard | None
    keep: KeepBestAndLast


def assemble(
    config: Config,
    folder: RunFolder,
    image_set: ImageSet,
    history: History,
    own: "Sequence[Metric]",
    late: pl.Callback,
    *,
    swept: Sequence[str],
    show: bool,
) -> Training:
    """Assemble what trains the network; ``late``: the callback that stops training on a signal."""
    with to_be_restored() if history.rows else nullcontext():
        classifier = build_classifier(config, image_set)
    if config.trainer.precision == "64-true":
        classifier.double()  # Lightning does so only after it has rounded a checkpoint's weights
    classifier.metrics = per_epoch(own, classifier)
    own_callbacks = build_callbacks(config)
    needs_single, rates = why_single(config.trainer, classifier, own_callbacks), LendRates()
    data = (ImageDataModule if needs_single else ChunkedImages)(
        image_set, config, len(history.rows), join_lone=joins_lone_image(config, classifier, image_set)
    )
    board = TensorBoard(folder, history, data, swept) if config.logger.tensorboard else None
    progress = Progress(history, image_set.table.simulated, show)
    plateau = Plateau(history, constant_of(classifier, image_set.labels("val")))
    watching = [history, progress, late, plateau, *([board] if board else [])]
    keep = KeepBestAndLast(folder, history, config.trainer.patience, verify=bool(config.own_code))
    callbacks = [SeedEpochs(config.seed), rates, *own_callbacks, *watching, keep]  # what is logged before what saves it
    trainer = build_trainer(config.trainer, config.epochs, callbacks, build_loggers(config, folder.path), folder.path)
    if isinstance(data, ChunkedImages):
        take_many_steps(trainer, classifier, data, rates)
    else:
        log.info("one step at a time, which is slower: %s", needs_single)
    return Training(trainer, classifier, data, history, board, keep)


def joins_lone_image(config: Config, classifier: Classifier, image_set: ImageSet) -> bool:
    """Whether a last training batch of one image must be part of the one before, which is then logged."""
    n_images = len(image_set.indices("train"))
    if config.batch_size == 1 or n_images % config.batch_size != 1:
        return False
    shape = {"in_channels": config.data.channels, "image_size": config.image_size}
    if takes_one_image(classifier.net, **shape):
        return False
    log.info("the last of %d training images joins the batch before it: batch norm needs at least two", n_images)
    return True


def per_epoch(own: "Sequence[Metric]", classifier: Classifier) -> Mapping[str, MetricFunction]:
    """What the classifier computes of the user's own metrics after each epoch."""
    if not own:
        return {}
    from medcls.evaluation.own_metrics import as_functions

    hparams = classifier.hparams
    return as_functions(own, positive_index(hparams["classes"], hparams["positive"]))
