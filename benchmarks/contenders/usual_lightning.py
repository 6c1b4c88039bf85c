"""PyTorch Lightning as it is usually written: one file per item, metrics logged at every step, the Trainer's defaults.

Each item is a JPEG that Pillow decodes and shrinks, with ``--augmented`` also augmented by albumentations; batches are
collated by a DataLoader with ``--workers`` worker processes, none by default, as in DataLoader itself.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from job import BATCH_SIZE, EPS, IMAGE_SIZE, LR, Job, Net
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import BinaryAccuracy


class ImageFiles(Dataset[tuple[Tensor, Tensor]]):
    """Images of a folder with one sub-folder per class."""

    def __init__(self, folder: Path, transform: Callable[[Image.Image], Tensor]) -> None:
        self.paths = sorted(folder.glob("*/*.jpg"))
        self.classes = sorted({path.parent.name for path in self.paths})
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        path = self.paths[index]
        image = Image.open(path).convert("L").resize((IMAGE_SIZE, IMAGE_SIZE))
        return self.transform(image), torch.tensor(float(self.classes.index(path.parent.name)))


class LitClassifier(pl.LightningModule):
    """The net with loss and accuracy logged at every step."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for widths in net.stages:
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        layers.append(nn.Flatten())
        side = IMAGE_SIZE // 2 ** len(net.stages)
        dense = [channels * side * side, *net.dense]
        for inputs, outputs in pairwise(dense):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(dense[-1], 1))
        self.loss = nn.BCEWithLogitsLoss()
        self.train_accuracy = BinaryAccuracy()
        self.val_accuracy = BinaryAccuracy()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return logits.squeeze(1)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        logits = self(images)
        loss: Tensor = self.loss(logits, labels)
        self.train_accuracy(logits, labels)
        self.log("train_loss", loss, prog_bar=True)
        self.log("train_accuracy", self.train_accuracy, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self(images)
        self.val_accuracy(logits, labels)
        self.log("val_loss", self.loss(logits, labels), prog_bar=True)
        self.log("val_accuracy", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=LR, eps=EPS)


class Stopwatch(pl.Callback):
    """Tells the job when an epoch has ended."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.job.epoch_ended(float(trainer.callback_metrics["val_loss"]))


def main() -> None:
    """Train as asked on the command line."""
    job = Job()
    pl.seed_everything(0)
    workers = job.options.workers
    images = job.data / "images"
    train = ImageFiles(images / "train", augmentation() if job.options.augmented else to_tensor)
    val = ImageFiles(images / "val", to_tensor)
    classifier = LitClassifier(job.net)
    trainer = pl.Trainer(
        max_epochs=job.epochs,
        accelerator=job.accelerator,
        devices=1,
        callbacks=[pl.callbacks.ModelCheckpoint(monitor="val_loss"), Stopwatch(job)],
    )
    kept = workers > 0
    trainer.fit(
        classifier,
        DataLoader(train, batch_size=BATCH_SIZE, shuffle=True, num_workers=workers, persistent_workers=kept),
        DataLoader(val, batch_size=BATCH_SIZE, num_workers=workers, persistent_workers=kept),
    )
    job.answer(sum(parameter.numel() for parameter in classifier.parameters()))


def to_tensor(image: Image.Image) -> Tensor:
    """Image as (1, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image, np.float32) / 255).unsqueeze(0)


def augmentation() -> Callable[[Image.Image], Tensor]:
    """The transforms of conf/augment/study.yaml, then as ``to_tensor``."""
    import albumentations
    import cv2
    from albumentations.pytorch import ToTensorV2

    shift = (-0.1, 0.1)
    pipeline: Any = albumentations.Compose(
        [
            albumentations.Affine(
                rotate=(-10, 10), translate_percent={"x": shift, "y": shift}, border_mode=cv2.BORDER_REPLICATE, p=1.0
            ),
            albumentations.HorizontalFlip(p=0.5),
            albumentations.ToFloat(max_value=255),
            ToTensorV2(),
        ]
    )
    return lambda image: pipeline(image=np.array(image))["image"]


if __name__ == "__main__":
    main()
