"""From the configuration and the images to the classifier, its callbacks and the trainer."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import StochasticWeightAveraging
from pytorch_lightning.loggers import Logger

from medcls.config import Config
from medcls.config.parts import LOGGERS, OwnLoss, OwnOptimizer, OwnSchedule
from medcls.config.schema import TrainerConfig
from medcls.config.targets import Target, accepts, call, check_arguments, locate
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.training.checkpoints import AtomicCheckpointIO
from medcls.training.classifier import Classifier, subclass
from medcls.training.device import TF32, allow_tf32
from medcls.training.losses import check_loss
from medcls.training.optimizer import try_optimizer
from medcls.training.own_methods import check_methods
from medcls.training.randomness import seed_everything
from medcls.training.schedule import length

# New in Lightning 2.6.
AVERAGING = (StochasticWeightAveraging, getattr(pl.callbacks, "WeightAveraging", StochasticWeightAveraging))


def check_parts(config: Config) -> None:
    """Find every part of the user's own and compare its arguments with what it takes, before any image is read.

    Raises UserError for one that cannot be found, or cannot be called so. Nets are checked by ``check_network``.
    """
    if isinstance(config.loss, OwnLoss):
        check_loss(config.loss)
    optimizer, schedule, classifier = config.optimizer, config.scheduler, config.classifier
    if isinstance(optimizer, OwnOptimizer):
        check_arguments(locate(optimizer.target, "optimizer"), optimizer.arguments(), "optimizer", [], lr=config.lr)
        try_optimizer(config)
    if isinstance(schedule, OwnSchedule):
        found = locate(schedule.target, "scheduler")
        check_arguments(found, schedule.arguments(), "scheduler", None, **length(schedule, 1))
    if classifier.target is not None:
        given = inspect.signature(Classifier).parameters
        check_arguments(subclass(classifier.target), classifier.args, "classifier", **dict.fromkeys(given))
        check_methods(subclass(classifier.target))
    for position, callback in enumerate(config.callbacks):
        key = f"callbacks.{position}"
        check_kind(callback.target, pl.Callback, key)
        check_no_averaging(locate(callback.target, key), key)
        check_arguments(locate(callback.target, key), callback.arguments, key)
    for position, logger in enumerate(config.loggers):
        key = f"loggers.{position}"
        target, arguments = logger_of(logger, key, Path())
        check_kind(target, Logger, key)
        check_arguments(locate(target, key), arguments, key)


def check_kind(target: str, kind: type, key: str) -> None:
    """Raise UserError where ``target`` is a class, but not a ``kind``; what a function returns is seen only later."""
    found = locate(target, key)
    if isinstance(found, type) and not issubclass(found, kind):
        raise wrong_kind(target, kind, key)


def check_no_averaging(callback: object, key: str) -> None:
    """Raise UserError for a callback, or a class of callbacks, that averages weights."""
    kind = callback if isinstance(callback, type) else type(callback)
    if issubclass(kind, AVERAGING):
        raise UserError(
            f"{key}: {kind.__name__} keeps averaged weights beside the net's own, so that the checkpoints of a run "
            "would not hold the weights that its metrics belong to.\n  Leave it out."
        )


def wrong_kind(target: str, kind: type, key: str) -> UserError:
    """Message for a part of the user's own that is something else."""
    return UserError(
        f"{key}: {target} is not a {kind.__name__} of Lightning. Name a subclass, or a function that returns one."
    )


def build_classifier(config: Config, image_set: ImageSet) -> Classifier:
    """Classifier of the configuration, its initial weights drawn from the seed.

    Raises UserError when a user's own part cannot be built, or the class is not a subclass of ``Classifier``.
    """
    own = config.classifier.target
    if own is not None:
        subclass(own)
    seed_everything(config.seed)
    plain = config.plain()
    options: dict[str, Any] = {
        "model": plain["model"],
        "classes": list(image_set.table.classes),
        "positive": image_set.positive,
        "channels": config.data.channels,
        "image_size": config.image_size,
        "loss": plain["loss"] if config.loss.name == "own" else config.loss.name,
        "class_weights": class_weights(config, image_set),
        "lr": config.lr,
        "optimizer": plain["optimizer"],
        "scheduler": plain["scheduler"],
        "epochs": config.epochs,
        "window": plain["data"]["window"],
    }
    if own is None:
        return Classifier(**options)
    built: Classifier = call(own, config.classifier.args, "classifier", **options)
    return built


def class_weights(config: Config, image_set: ImageSet) -> list[float] | None:
    """One weight per class; "balanced" gives every class the same total weight, 1 on average over images."""
    wanted, n_classes = config.loss.class_weights, len(image_set.table.classes)
    check_class_weights(wanted, n_classes)
    if wanted == "balanced":
        labels = image_set.labels("train")
        return [float(weight) for weight in len(labels) / (n_classes * np.bincount(labels, minlength=n_classes))]
    return None if wanted is None else list(wanted)


def check_class_weights(wanted: str | Sequence[float] | None, n_classes: int) -> None:
    """Raise UserError for a list that does not have one weight for each class."""
    if isinstance(wanted, Sequence) and not isinstance(wanted, str) and len(wanted) != n_classes:
        raise UserError(
            f"loss.class_weights: found {len(wanted)} weights, expected one for each of {n_classes} classes."
        )


def build_callbacks(config: Config) -> list[pl.Callback]:
    """The user's own callbacks. Raises UserError for one that cannot be built or is not a Callback of Lightning."""
    built = []
    for position, own in enumerate(config.callbacks):
        callback = call(own.target, own.arguments, f"callbacks.{position}")
        if not isinstance(callback, pl.Callback):
            raise wrong_kind(own.target, pl.Callback, f"callbacks.{position}")
        check_no_averaging(callback, f"callbacks.{position}")
        built.append(callback)
    return built


def build_loggers(config: Config, folder: Path) -> list[Logger]:
    """The user's own loggers; those with a ``save_dir`` write into the run folder unless they name another place.

    Raises UserError for one that cannot be built, is not installed or is not a Logger of Lightning.
    """
    built = []
    for position, own in enumerate(config.loggers):
        key = f"loggers.{position}"
        target, arguments = logger_of(own, key, folder)
        logger = call(target, arguments, key)
        if not isinstance(logger, Logger):
            raise wrong_kind(target, Logger, key)
        built.append(logger)
    return built


def logger_of(own: str | Target, key: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """Dotted path and arguments of a logger; it gets the run folder where it takes one and no other is named."""
    target, arguments = (LOGGERS[own], {}) if isinstance(own, str) else (own.target, own.arguments)
    place = {"save_dir": str(folder)} if accepts(locate(target, key), "save_dir") else {}
    return target, place | arguments


def build_trainer(
    config: TrainerConfig, epochs: int, callbacks: Sequence[pl.Callback], loggers: Sequence[Logger], folder: Path
) -> pl.Trainer:
    """Lightning's Trainer without what costs time at each step or start.

    Raises UserError when this machine lacks the accelerator.
    """
    options: dict[str, Any] = {}
    if config.deterministic and torch.cuda.is_available():
        options["deterministic"] = "warn"
        # All that we allocate is written before it is read.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    allow_tf32(config.precision == TF32)
    try:
        return pl.Trainer(
            accelerator=config.accelerator,
            devices=1,
            precision=config.precision if config.precision != TF32 else "32-true",
            max_epochs=epochs,
            min_epochs=epochs,  # so that a callback's should_stop waits for the end of an epoch: see KeepBestAndLast
            callbacks=list(callbacks),
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
            gradient_clip_val=config.gradient_clip,
            accumulate_grad_batches=config.accumulate,
            logger=list(loggers) or False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **options,
        )
    except RuntimeError as error:  # two callbacks that checkpoints could not distinguish
        raise UserError(f"callbacks: {error}") from error
    except (MisconfigurationException, ValueError) as error:
        raise UserError(f"trainer.accelerator: found {config.accelerator!r}, which cannot be used: {error}") from error
