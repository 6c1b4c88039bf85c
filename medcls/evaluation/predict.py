"""Predictions of a checkpoint's net on the images of a split."""

from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from medcls.data.datamodule import ImageDataModule
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.predictions import Predictions, positive_index
from medcls.training.classifier import Classifier
from medcls.training.losses import probabilities


class Outcome(NamedTuple):
    """Predictions of a split's images, and their mean loss."""

    predictions: Predictions
    loss: float


def predict(
    trainer: pl.Trainer, classifier: Classifier, data: ImageDataModule, checkpoint: Path, split: str
) -> Outcome:
    """Outcome of a split under the weights of a checkpoint, which stay in the classifier."""
    classifier.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    batches = trainer.predict(classifier, data.loader(split))
    assert batches is not None
    logits = torch.cat([batch for batch in batches if isinstance(batch, torch.Tensor)]).cpu()
    labels = torch.from_numpy(data.image_set.labels(split))
    samples = [sample for sample in data.image_set.table.samples if sample.split == split]
    groups = tuple(sample.group for sample in samples)
    predictions = Predictions(
        data=data.config.data.title,
        names=tuple(sample.name for sample in samples),
        labels=labels.numpy(),
        probabilities=probabilities(logits, classifier.loss).numpy(),
        positive=positive_index(classifier.hparams["classes"], classifier.hparams["positive"]),
        groups=groups if any(groups) else (),
    )
    return Outcome(predictions, float(classifier.cpu().compute_loss(logits, labels)))
