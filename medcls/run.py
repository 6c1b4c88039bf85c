"""One run from start, or from where it stopped, to the end."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_fabric.utilities.exceptions import MisconfigurationException

from medcls.assembly import Training, assemble
from medcls.atomic import write_json
from medcls.audit.gate import Audit, audited
from medcls.config import Config
from medcls.config.parts import NetConfig, TorchvisionNet
from medcls.data.image_set import ImageSet
from medcls.data.table import ASIDE
from medcls.decision.rule import check_classes
from medcls.engine.driver import asking_the_driver
from medcls.engine.lone_image import check_batch_size
from medcls.errors import Stopped, UserError
from medcls.evaluation.plateau import constant_of
from medcls.host.environment import describe_environment
from medcls.host.quiet import quiet_lightning
from medcls.host.stop import stopping_in_order
from medcls.host.terminal import command_line
from medcls.models import check_network
from medcls.runs.folder import RunFolder, write_table
from medcls.runs.history import best_row
from medcls.runs.reading import digest_of
from medcls.runs.run import validation_images
from medcls.sources.class_names import given_classes
from medcls.sources.load import load_image_set
from medcls.sources.location import check_outside_images, find_root, manifest_place
from medcls.sources.subset import with_part_of_training
from medcls.subgroups.columns import write_columns
from medcls.training.build import check_parts
from medcls.training.classifier import Classifier
from medcls.training.device import use_device
from medcls.training.history import History
from medcls.training.resume import continued_config, restore_history

if TYPE_CHECKING:
    from medcls.evaluation.metrics import Metric

log = logging.getLogger(__name__)


def run(config: Config, path: Path, overrides: list[str], *, swept: Sequence[str] = (), show: bool = True) -> float:
    """Train one network, score it and write its run folder; with ``config.resume``, resume the run there.

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
    use_device(config.trainer)
    own = check(config, path)
    with folder.locked(), quiet_lightning(), stopping_in_order() as late:
        image_set, audit = audited(load_image_set(config.data, config.image_size), config)
        image_set = with_part_of_training(image_set, config.data.train_fraction, (config.data.split.seed, config.seed))
        check_classes(config.threshold, image_set.table.classes)
        history = History()
        if resumed:
            restore_history(history, folder, image_set, config.epochs)
            if folder.read_state() == "done" and history.is_over(config.epochs, config.trainer.patience):
                log.info("%s is finished, nothing left to train; %d epochs are done", path, len(history.rows))
                return float(best_row(history.rows)["val_loss"])
        training = assemble(config, folder, image_set, history, own, late, swept=swept, show=show)
        if resumed:
            folder.write_config(config.plain())
            folder.write_status("running", len(history.rows))
        else:
            begin(folder, config, image_set, audit, overrides)
        try:
            with late.above_other_errors():
                describe(config, training.classifier, image_set, path)
                metrics = train_and_score(training, folder, own)
        except BaseException as error:
            record_end(folder, error, training.keep.kept, config.epochs)
            raise
        folder.write_status("done", len(history.rows))
        if show:
            tell_end(metrics, config, folder, overrides)
        return float(best_row(history.rows)["val_loss"])


def check(config: Config, path: Path) -> "list[Metric]":
    """The user's own metrics, once everything is right that can be known before an image is read.

    Raises UserError for a net that cannot take such images, a part of the user's own that cannot be used, or a run
    folder among the images.
    """
    check_network(config.model, in_channels=config.data.channels, image_size=config.image_size)
    if not RunFolder(path).last.exists():  # whose weights take the place of those of a file
        weights_file(config.model)
    own = check_own(config)
    if config.data.classes is not None:
        given_classes(config.data.classes)  # refuses names that are one but for case, space or form
    check_outside_images("hydra.run.dir", path, config.data)
    return own


def weights_file(net: NetConfig) -> Path | None:
    """The file that a net's weights come from, None where there is none. Raises UserError where it is missing."""
    file = net.file if isinstance(net, TorchvisionNet) else None
    if file is not None and not file.is_file():
        raise UserError(
            f"model.weights: there is no file {file}.\n  Expected the path of a state_dict, or the name of weights of "
            "torchvision, such as DEFAULT."
        )
    return file


def tell_end(metrics: Mapping[str, Any], config: Config, folder: RunFolder, overrides: list[str]) -> None:
    """Print the closing table, that of a threshold where one is asked for, and what to do next."""
    from medcls.decision.tables import print_at_threshold
    from medcls.report.closing_table import print_closing_table
    from medcls.report.next_steps import print_next_steps

    print_closing_table(metrics, folder.path)
    print_at_threshold(folder.decision, metrics)
    print_next_steps(metrics, config, folder, overrides)


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
    write_columns(folder.path, image_set.table.further, [sample.name for sample in image_set.table.samples])
    if audit is not None:
        audit.write(folder.path)
    environment = describe_environment(overrides)
    if (weights := weights_file(config.model)) is not None:
        environment["weights_sha256"] = digest_of(weights)
    place = manifest_place(config.data)
    folder.begin(config.plain(), image_set.describe() | ({"manifest": str(place)} if place else {}), environment)


def describe(config: Config, classifier: Classifier, image_set: ImageSet, path: Path) -> None:
    """Log in one line what is about to be trained on what."""
    called = {"val": "test (as validation)"} if image_set.table.test_validates else {}
    numbers = {split: sum(count.values()) for split, count in image_set.table.counts().items()}
    counts = ", ".join(f"{number} {called.get(split, split)}" for split, number in numbers.items())
    if aside := sum(sample.split == ASIDE for sample in image_set.table.samples):
        log.info("%d test images are set aside: the folds contain all other images", aside)
    parameters = sum(parameter.numel() for parameter in classifier.net.parameters())
    log.info(
        "%s%s (%s images) with %s (%s parameters), %d epochs, in %s",
        "SIMULATED " if image_set.table.simulated else "",
        config.data.title,
        counts,
        config.model.title,
        f"{parameters:,}",
        config.epochs,
        path,
    )


def check_own(config: Config) -> "list[Metric]":
    """The user's own metrics; raises UserError when one of them, or another part of the user's, cannot be used."""
    check_parts(config)
    check_batch_size(config)
    if not config.metrics:
        return []  # without importing scikit-learn before the first epoch
    from medcls.evaluation.own_metrics import own_metrics

    return own_metrics(config.metrics)


def train_and_score(training: Training, folder: RunFolder, own: "Sequence[Metric]") -> dict[str, Any]:
    """Train what is left to train, then score; returns the content of metrics.json."""
    trainer, classifier, data, history, board, _ = training
    config = data.config
    length = config.epochs, config.trainer.patience
    if not history.is_over(*length):
        try:
            with asking_the_driver():
                trainer.fit(classifier, data, ckpt_path=folder.last if history.rows else None)
        except MisconfigurationException as error:  # for callbacks and loggers that do not fit together
            hint = "" if config.loggers else "\n  Some callbacks need a logger: loggers=[csv]"
            raise UserError(f"Lightning cannot train with these parts: {error}{hint}") from error
        if not history.is_over(*length):  # Lightning takes StopIteration for the end, too
            raise UserError(
                f"training ended after {len(history.rows)} of {config.epochs} epochs: a callback or Classifier of your "
                "own raised StopIteration, or changed max_epochs.\n  To end a run after an epoch, have it set "
                "trainer.should_stop = True."
            )
    # Imported here: scikit-learn and matplotlib take seconds to import, which the first epoch should not wait for.
    from medcls.decision.record import decide_on, write_decision
    from medcls.evaluation.constant import says_nothing
    from medcls.evaluation.run_metrics import headline, score_run
    from medcls.report.run_pictures import draw_run

    metrics, predictions = score_run(trainer, classifier, data, folder, history.rows, own)
    metrics["constant_loss"] = constant_of(classifier, predictions["val"].labels)
    metrics["says_nothing"] = says_nothing(predictions["val"], metrics["classes"]) or None
    if config.data.medmnist is not None and config.data.split.folds is None:
        from medcls.sources.medmnist import official_scores

        where = config.data.name, find_root(config.data), config.data.medmnist.size
        metrics["medmnist"] = official_scores(*where, predictions["test"].probabilities)
    decision = decide_on(predictions["val"], config.threshold, validation_images(metrics))
    write_decision(folder.decision, decision, predictions)
    if config.logger.pictures:
        draw_run(metrics, predictions, history.rows, folder.path)
    write_json(folder.metrics, metrics)  # last, since with it the run counts as scored
    if board:
        if config.logger.pictures:
            board.add_pictures(metrics["best"]["epoch"], [folder.path / "confusion.png", folder.path / "roc.png"])
        board.write_hparams(metrics["best"]["epoch"], headline(metrics))
    return metrics


def record_end(folder: RunFolder, error: BaseException, epochs_done: int, epochs: int) -> None:
    """Write to the folder why the run did not finish, as far as the disk still takes it."""
    stopped = isinstance(error, Stopped)
    if stopped:
        command = f"{command_line('train')} {folder.resume_override}"
        log.info("stopped after %d of %d epochs; to resume: %s", epochs_done, epochs, command)
    try:
        folder.write_status("stopped" if stopped else "failed", epochs_done, f"{type(error).__name__}: {error}")
    except UserError:
        log.error("the status file of the run could not be written either")
