"""One run from start, or from where it stopped, to the end."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from medcls.audit.gate import Audit, audited
from medcls.config import Config
from medcls.data.datamodule import ImageDataModule
from medcls.data.image_set import ImageSet
from medcls.errors import Stopped, UserError
from medcls.models import check_network
from medcls.runs.folder import RunFolder, write_table
from medcls.runs.history import best_row, is_over
from medcls.sources.load import load_image_set
from medcls.sources.source import check_outside_images
from medcls.training.checkpoints import AtomicCheckpointIO, KeepBestAndLast
from medcls.training.classifier import Classifier
from medcls.training.environment import describe_environment
from medcls.training.history import History
from medcls.training.progress import Progress
from medcls.training.randomness import SeedEpochs, seed_everything
from medcls.training.resume import continued_config, restore_history
from medcls.training.stop import stopping_in_order
from medcls.training.tensorboard import TensorBoard

log = logging.getLogger(__name__)


def run(config: Config, path: Path, overrides: list[str], *, swept: Sequence[str] = (), show: bool = True) -> float:
    """Train one network, score it and leave its run folder; with ``config.resume``, go on with the run there.

    overrides: those of the command line that asked for it; swept: keys that its sweep varies; show: draw a progress bar
    and end with a table.
    Returns the lowest validation loss. Raises UserError for mistakes of the user's, Stopped on SIGINT or SIGTERM.
    """
    folder = RunFolder(path)
    resumed = config.resume is not None
    if resumed:
        config = continued_config(config, folder, overrides)
    else:
        folder.check_new()
    check_network(config.model.model_dump(), in_channels=config.data.channels, image_size=config.image_size)
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    check_outside_images("hydra.run.dir", path, config.data)
    with folder.locked(), stopping_in_order() as late:
        image_set, audit = audited(load_image_set(config.data, config.image_size), config)
        history = History(folder)
        if resumed:
            restore_history(history, folder, image_set)
            if folder.read_state() == "done" and is_over(history.rows, config.epochs, config.trainer.patience):
                log.info("%s is finished, nothing left to train; %d epochs are done", path, len(history.rows))
                return float(best_row(history.rows)["val_loss"])
        classifier = build_classifier(config, image_set)
        data = ImageDataModule(image_set, config, epochs_done=len(history.rows))
        board = TensorBoard(folder, history, data, swept) if config.logger.tensorboard else None
        trainer = build_trainer(data, history, [late, board] if board else [late], show)
        if resumed:
            folder.write_config(config.plain())
            folder.write_status("running", len(history.rows))
        else:
            begin(folder, config, image_set, audit, overrides)
        describe(config, classifier, image_set, path)
        try:
            metrics = train_and_score(trainer, classifier, data, history, board)
        except BaseException as error:
            record_end(folder, error, len(history.rows), config.epochs)
            raise
        folder.write_status("done", len(history.rows))
        if show:
            from medcls.report.summary import print_summary

            print_summary(metrics, path)
        return float(best_row(history.rows)["val_loss"])


def begin(folder: RunFolder, config: Config, image_set: ImageSet, audit: Audit | None, overrides: list[str]) -> None:
    """Write what a new run starts from."""
    if image_set.table.split_drawn:
        table = image_set.table
        write_table(
            folder.split,
            [
                {"sample": s.name, "label": s.label, "split": s.split} | ({"group": s.group} if table.grouped else {})
                for s in table.samples
            ],
        )
    if audit is not None:
        audit.write(folder.path)
    folder.begin(config.plain(), image_set.describe(), describe_environment(overrides))


def describe(config: Config, classifier: Classifier, image_set: ImageSet, path: Path) -> None:
    """Say on one line what is about to be trained on what."""
    counts = ", ".join(f"{sum(count.values())} {split}" for split, count in image_set.table.counts().items())
    parameters = sum(parameter.numel() for parameter in classifier.net.parameters())
    log.info(
        "%s%s (%s images) with %s (%s parameters), %d epochs, in %s",
        "SIMULATED " if image_set.table.simulated else "",
        config.data.title,
        counts,
        getattr(config.model, "name", config.model.family),
        f"{parameters:,}",
        config.epochs,
        path,
    )


def build_classifier(config: Config, image_set: ImageSet) -> Classifier:
    """Classifier of the configuration, its initial weights drawn from the seed."""
    seed_everything(config.seed)
    plain = config.plain()
    return Classifier(
        model=plain["model"],
        classes=list(image_set.table.classes),
        positive=image_set.positive,
        channels=config.data.channels,
        image_size=config.image_size,
        loss=config.loss.name,
        class_weights=class_weights(config, image_set),
        lr=config.lr,
        optimizer=plain["optimizer"],
        scheduler=plain["scheduler"],
        epochs=config.epochs,
    )


def class_weights(config: Config, image_set: ImageSet) -> list[float] | None:
    """One weight per class; "balanced" gives every class the same total weight, 1 on average over images."""
    wanted, n_classes = config.loss.class_weights, len(image_set.table.classes)
    if wanted == "balanced":
        labels = image_set.labels("train")
        return [float(weight) for weight in len(labels) / (n_classes * np.bincount(labels, minlength=n_classes))]
    if wanted is not None and len(wanted) != n_classes:
        raise UserError(
            f"loss.class_weights: found {len(wanted)} weights, expected one for each of {n_classes} classes."
        )
    return None if wanted is None else list(wanted)


def train_and_score(
    trainer: pl.Trainer, classifier: Classifier, data: ImageDataModule, history: History, board: TensorBoard | None
) -> dict[str, Any]:
    """Train what is left to train, then score; returns the content of metrics.json."""
    folder, config = history.folder, data.config
    if not is_over(history.rows, config.epochs, config.trainer.patience):
        trainer.fit(classifier, data, ckpt_path=folder.last if history.rows else None)
    # Imported here: scikit-learn and matplotlib take seconds to import, which the first epoch should not wait for.
    from medcls.score import score_run

    metrics = score_run(trainer, classifier, data, folder, history.rows)
    if board:
        board.write_hparams(metrics)
    return metrics


def record_end(folder: RunFolder, error: BaseException, epochs_done: int, epochs: int) -> None:
    """Write to the folder why the run did not finish, as far as the disk still takes it."""
    stopped = isinstance(error, Stopped)
    if stopped:
        command = f"python train.py {folder.resume_override}"
        log.info("stopped after %d of %d epochs; go on: %s", epochs_done, epochs, command)
    try:
        folder.write_status("stopped" if stopped else "failed", epochs_done, f"{type(error).__name__}: {error}")
    except UserError:
        log.error("the status of the run could not be written either")


def build_trainer(data: ImageDataModule, history: History, others: Sequence[pl.Callback], show: bool) -> pl.Trainer:
    """Lightning's Trainer without what costs time at each step or start.

    Raises UserError when this machine lacks the accelerator.
    """
    # It warns of having no workers (batches come from memory), of our folder not being empty, of resuming; and tells
    # of absent accelerators and of products. Importing it set the level of its messages.
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    config = data.config
    keep = KeepBestAndLast(history.folder, history, config.trainer.patience)
    progress = Progress(history, data.image_set.table.simulated, show)
    options: dict[str, Any] = {}
    if config.trainer.deterministic and torch.cuda.is_available():
        options["deterministic"] = "warn"
        # All that we allocate is written before it is read.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        return pl.Trainer(
            accelerator=config.trainer.accelerator,
            devices=1,
            precision=config.trainer.precision,
            max_epochs=config.epochs,
            callbacks=[SeedEpochs(config.seed), history, progress, *others, keep],
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **options,
        )
    except (MisconfigurationException, ValueError) as error:
        raise UserError(
            f"trainer.accelerator: found {config.trainer.accelerator!r}, which cannot be used: {error}"
        ) from error
