"""Says during training that a net does not yet tell its images apart."""

import logging

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

from medcls.evaluation.constant import beats, constant_loss
from medcls.training.classifier import Classifier
from medcls.training.history import History

log = logging.getLogger(__name__)

_PATIENCE = 5  # epochs


class Plateau(pl.Callback):
    """Logs one line where five epochs have brought no validation loss below ``constant``, that of a constant answer."""

    def __init__(self, history: History, constant: float | None) -> None:
        self.history = history
        self.constant = constant

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.constant is None or len(self.history.rows) != _PATIENCE:
            return
        lowest = min(row["val_loss"] for row in self.history.rows)
        if not beats(lowest, self.constant):
            log.info(
                "epoch %d: no better yet than a constant answer: lowest validation loss %.4f, that of answering the "
                "class shares %.4f. If this persists, try another lr or model.batch_norm=true",
                *(_PATIENCE, lowest, self.constant),
            )


def constant_of(classifier: Classifier, labels: NDArray[np.int64]) -> float | None:
    """``constant_loss`` of validation images with labels (N,); None where it is unknown or 0: one class, own loss."""
    hparams, own = classifier.hparams, type(classifier) is not Classifier
    loss = hparams["loss"]
    if own or (not isinstance(loss, str) and loss["name"] == "own"):
        return None
    return constant_loss(labels, classifier.loss, hparams["class_weights"], len(hparams["classes"])) or None
