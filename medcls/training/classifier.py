"""The one LightningModule: any network, its loss, its optimizer, and loss, accuracy and AUROC once per epoch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, multilabel_auroc

from medcls.config.parts import read_part
from medcls.config.targets import KEY, check_allowed, locate
from medcls.errors import UserError
from medcls.models import build_network
from medcls.models.pretrained import to_be_restored
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.predictions import positive_index
from medcls.training.losses import build_loss, correct, n_outputs, outputs_of, probabilities, read_loss
from medcls.training.optimizer import build_optimizer, once
from medcls.training.schedule import build_schedule, step_schedule

Batch = tuple[Tensor, Tensor]  # images (N, H, W, C) uint8, labels (N,) int64
MetricFunction = Callable[[NDArray[np.int64], NDArray[np.float32]], float]


class Classifier(pl.LightningModule):
    """A network with all it takes to train it and, from its checkpoint alone, to use it.

    Hyper-parameters are plain values only, so that a checkpoint loads with ``weights_only=True``. ``model``,
    ``optimizer``, ``scheduler``: their sections of the configuration; ``loss``: likewise, or its name where that says
    all; ``classes``: names in label order; ``positive``: the class that sensitivity is about (two classes);
    ``class_weights``: one per class; ``epochs``: length of a schedule. Images are ``image_size`` x ``image_size`` with
    ``channels`` channels, 0 ... 255; ``window``: how gray values of DICOM were shown (data.window), None in checkpoints
    from before it was kept.

    To subclass: pass on all keyword arguments but your own, which must be plain values; in a ``training_step`` of your
    own call ``track``. The configuration names the subclass by ``classifier._target_``.
    """

    def __init__(
        self,
        *,
        model: Mapping[str, Any],
        classes: Sequence[str],
        positive: str | None,
        channels: int,
        image_size: int,
        loss: str | Mapping[str, Any],
        class_weights: Sequence[float] | None,
        lr: float,
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        epochs: int,
        window: str | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        part = read_loss(loss)
        self.loss = outputs_of(part, len(classes))
        net = build_network(
            read_part("model", model),
            n_outputs=n_outputs(self.loss, len(classes)),
            in_channels=channels,
            image_size=image_size,
        )
        # Batches are laid out with the channels last; a net laid out alike is 1.2 to 1.4 times as fast on a CPU.
        self.net = net.to(memory_format=torch.channels_last)
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.criterion = build_loss(part, self.loss, len(classes), weights)
        self.positive = positive_index(classes, positive)
        self.metrics: Mapping[str, MetricFunction] = {}  # of the user's own, computed after each epoch
        self.train_loss, self.train_correct, self.train_images = torch.zeros(()), torch.zeros(()), 0
        self.val_batches: list[Batch] = []
        self.restored_schedule: dict[str, Any] | None = None
        self.judge: Callable[[Tensor], Tensor] | None = None  # logits of validation images, many batches at a time

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_outputs) of images (N, H, W, C), uint8."""
        scaled = images.permute(0, 3, 1, 2).to(self.dtype).div_(255)
        logits: Tensor = self.net(scaled)
        return logits

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch, in float32 even where the net computed in half precision."""
        return self.criterion(logits.to(self.dtype), labels, self.class_weights)

    def on_train_epoch_start(self) -> None:
        # In place where they are on the device already: a captured step adds to these very tensors.
        self.train_loss = self.train_loss.to(self.device).zero_()
        self.train_correct = self.train_correct.to(self.device).zero_()
        self.train_images = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = self.compute_loss(logits, labels)
        self.track(loss, logits, labels)
        return loss

    def track(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a training batch towards the epoch's training loss and accuracy."""
        # Sums on the device, read once per epoch: logging each step would cost more than a small net's arithmetic.
        self.train_loss.add_(loss.detach() * len(labels))
        self.train_correct.add_(correct(logits.detach(), labels))
        self.train_images += len(labels)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self.val_batches.append(((self.judge or self)(images), labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits: Tensor = self(batch[0])
        return logits

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self.val_batches, strict=True))
        self.val_batches.clear()
        if not self.train_images:
            raise UserError(
                f"classifier: {type(self).__name__}.training_step never called self.track(loss, logits, labels).\n"
                "  Without it the training loss of the epoch is unknown."
            )
        probability = probabilities(logits, self.loss)
        # Training's values too: by now its batches are done, and all that watches epochs finds everything in place.
        self.log_dict(
            {
                "train_loss": self.train_loss / self.train_images,
                "train_accuracy": self.train_correct / self.train_images,
                "val_loss": self.compute_loss(logits, labels),
                "val_accuracy": correct(logits, labels) / len(labels),
                "val_auroc": auroc(probability, labels, self.positive),
            }
            | {
                f"val_{name}": float(metric(labels.cpu().numpy(), probability.cpu().numpy()))
                for name, metric in self.metrics.items()
            }
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        hparams = self.hparams
        optimizer = build_optimizer(
            read_part("optimizer", hparams["optimizer"]), self.net.parameters(), hparams["lr"], self.device
        )
        # Kept from Lightning, which would step it after the epoch's checkpoint was written: a resumed run would then
        # miss the last step.
        schedule = read_part("scheduler", hparams["scheduler"])
        self.per_batch = schedule.interval == "batch"
        steps = int(self.trainer.estimated_stepping_batches) if self.per_batch else hparams["epochs"]
        self.schedule = build_schedule(schedule, optimizer, steps)
        if self.schedule is not None and self.restored_schedule is not None:
            self.schedule.load_state_dict(self.restored_schedule)
        return optimizer

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        gradient = once(optimizer_closure, self.trainer.accumulate_grad_batches)
        super().optimizer_step(epoch, batch_idx, optimizer, gradient)
        self.after_step()

    def after_step(self) -> None:
        """Set the learning rate of the next step, where the schedule is one of steps."""
        if self.per_batch:
            step_schedule(self.schedule)

    def on_train_epoch_end(self) -> None:
        if not self.per_batch:
            step_schedule(self.schedule, float(self.trainer.callback_metrics["val_loss"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.schedule is not None:
            checkpoint["schedule"] = self.schedule.state_dict()
        if type(self) is not Classifier:
            checkpoint["classifier"] = {KEY: f"{type(self).__module__}.{type(self).__qualname__}"}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.restored_schedule = checkpoint.get("schedule")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            raise UserError(f"the checkpoint is of another net than this run's.\n  {error}") from error


def load_classifier(path: Path, allow: Collection[str] = ()) -> Classifier:
    """Classifier rebuilt from a checkpoint alone, in evaluation mode on the CPU and in single precision.

    Its ``hparams`` hold class names and preprocessing. allow: dotted paths of code of your own that the checkpoint may
    have run: its net, its loss, its subclass of Classifier. Raises UserError when the file is not a checkpoint of
    medcls, or names other code.
    """
    content = read_checkpoint(path)
    kind, hparams = content.get("classifier", {}), content["hyper_parameters"]
    check_allowed([kind, hparams], allow, str(path), "load_classifier(path, allow={listed})")
    made_by = subclass(kind[KEY]) if kind else Classifier
    with to_be_restored():
        classifier = made_by(**hparams)
    classifier.load_state_dict(content["state_dict"])
    return classifier.eval()


def subclass(target: str) -> type[Classifier]:
    """A user's own subclass of Classifier. Raises UserError where ``target`` names anything else."""
    found = locate(target, "classifier")
    if not (isinstance(found, type) and issubclass(found, Classifier)):
        raise UserError(f"classifier: {target} is not a subclass of medcls.Classifier.")
    return found


def auroc(probability: Tensor, labels: Tensor, positive: int) -> Tensor:
    """Area under the ROC curve of probabilities (N, C); more than two classes: mean of one class against the rest.

    For two, it is that of class ``positive``, as in the table of a run: the other's probability, near 1 where this one
    is near 0, would be rounded to other ties.
    Every class must be among the labels: torchmetrics gives 0.0 where one is missing.
    """
    if probability.shape[1] == 2:
        return binary_auroc(probability[:, positive], (labels == positive).long())
    targets = torch.nn.functional.one_hot(labels, probability.shape[1])
    return multilabel_auroc(probability, targets, num_labels=probability.shape[1])
