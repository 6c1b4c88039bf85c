"""The one LightningModule: any network, its loss, its optimiser, and loss, accuracy and AUROC once per epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, multilabel_auroc

from medcls.models import build_network
from medcls.runs.checkpoint import read_checkpoint
from medcls.training.losses import correct, default_loss, loss_function, n_outputs, probabilities
from medcls.training.schedule import build_schedule, step_schedule

Batch = tuple[Tensor, Tensor]  # images (N, H, W, C) uint8, labels (N,) int64


class Classifier(pl.LightningModule):
    """A network with all it takes to train it and, from its checkpoint alone, to use it.

    Hyper-parameters are plain values only, so that a checkpoint loads with ``weights_only=True``. ``model``:
    ``family`` and the options of that family; ``classes``: names in label order; ``positive``: the class that
    sensitivity is about (two classes); ``loss``: "default" or "one_vs_rest"; ``class_weights``: one per class;
    ``optimizer`` and ``scheduler``: their sections of the configuration; ``epochs``: length of a cosine schedule.
    Images are ``image_size`` x ``image_size`` with ``channels`` channels, 0 ... 255.
    """

    def __init__(
        self,
        *,
        model: Mapping[str, Any],
        classes: Sequence[str],
        positive: str | None,
        channels: int,
        image_size: int,
        loss: str,
        class_weights: Sequence[float] | None,
        lr: float,
        optimizer: Mapping[str, Any],
        scheduler: Mapping[str, Any],
        epochs: int,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.loss = default_loss(len(classes)) if loss == "default" or len(classes) == 2 else loss
        options = {key: value for key, value in model.items() if key != "family"}
        outputs = n_outputs(self.loss, len(classes))
        net = build_network(model["family"], options, n_outputs=outputs, in_channels=channels, image_size=image_size)
        # Batches are laid out with the channels last; a net laid out alike is 1.2 to 1.4 times as fast on a CPU.
        self.net = net.to(memory_format=torch.channels_last)
        self.class_weights: Tensor | None
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.train_loss, self.train_correct, self.train_images = torch.zeros(()), torch.zeros(()), 0
        self.val_batches: list[Batch] = []
        self.restored_schedule: dict[str, Any] | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, n_outputs) of images (N, H, W, C), uint8."""
        scaled = images.permute(0, 3, 1, 2).to(self.dtype).div_(255)
        logits: Tensor = self.net(scaled)
        return logits

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of a batch, in float32 even where the net computed in half precision."""
        return loss_function(self.loss, self.class_weights)(logits.to(self.dtype), labels)

    def on_train_epoch_start(self) -> None:
        self.train_loss = torch.zeros((), device=self.device)
        self.train_correct = torch.zeros((), device=self.device)
        self.train_images = 0

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss = self.compute_loss(logits, labels)
        # Sums on the device, read once per epoch: logging each step would cost more than a small net's arithmetic.
        self.train_loss += loss.detach() * len(labels)
        self.train_correct += correct(logits.detach(), labels)
        self.train_images += len(labels)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = batch
        self.val_batches.append((self(images), labels))

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        logits: Tensor = self(batch[0])
        return logits

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self.val_batches, strict=True))
        self.val_batches.clear()
        # Training's figures too: by now its batches are done, and all that watches epochs finds everything in place.
        self.log_dict(
            {
                "train_loss": self.train_loss / self.train_images,
                "train_accuracy": self.train_correct / self.train_images,
                "val_loss": self.compute_loss(logits, labels),
                "val_accuracy": correct(logits, labels) / len(labels),
                "val_auroc": auroc(probabilities(logits, self.loss), labels),
            }
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        hparams = self.hparams
        options = dict(hparams["optimizer"])
        name = options.pop("name")
        classes = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
        fused = self.device.type in ("cpu", "cuda")  # one pass over all weights instead of one per operation
        optimizer: torch.optim.Optimizer = classes[name](
            self.net.parameters(), lr=hparams["lr"], fused=fused, **options
        )
        # Kept from Lightning, which would step it after the epoch's checkpoint was written: a resumed run would then
        # lack the last step.
        self.schedule = build_schedule(hparams["scheduler"], optimizer, hparams["epochs"])
        if self.schedule is not None and self.restored_schedule is not None:
            self.schedule.load_state_dict(self.restored_schedule)
        return optimizer

    def on_train_epoch_end(self) -> None:
        step_schedule(self.schedule, float(self.trainer.callback_metrics["val_loss"]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.schedule is not None:
            checkpoint["schedule"] = self.schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.restored_schedule = checkpoint.get("schedule")


def load_classifier(path: Path) -> Classifier:
    """Classifier rebuilt from a checkpoint alone, in evaluation mode on the CPU.

    Its ``hparams`` hold class names and preprocessing. Raises UserError when the file is no checkpoint of medcls.
    """
    content = read_checkpoint(path)
    classifier = Classifier(**content["hyper_parameters"])
    classifier.load_state_dict(content["state_dict"])
    return classifier.eval()


def auroc(probability: Tensor, labels: Tensor) -> Tensor:
    """Area under the ROC curve of probabilities (N, C); more than two classes: mean of one class against the rest.

    Every class must be among the labels: torchmetrics gives 0.0 where one is missing.
    """
    if probability.shape[1] == 2:
        return binary_auroc(probability[:, 1], labels)
    targets = torch.nn.functional.one_hot(labels, probability.shape[1])
    return multilabel_auroc(probability, targets, num_labels=probability.shape[1])
