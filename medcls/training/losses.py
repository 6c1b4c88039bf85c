"""What training minimises, and how its logits become probabilities."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

LossFunction = Callable[[Tensor, Tensor], Tensor]


def default_loss(n_classes: int) -> str:
    """Name of the loss that fits the number of classes where the configuration names none."""
    return "bce" if n_classes == 2 else "cross_entropy"


def n_outputs(loss: str, n_classes: int) -> int:
    """Number of logits: one for two classes under "bce", else one per class."""
    return 1 if loss == "bce" else n_classes


def loss_function(name: str, class_weights: Tensor | None = None) -> LossFunction:
    """Loss of logits ``(N, n_outputs)`` and integer labels ``(N,)``, a scalar averaged over images.

    "bce": one logit, two classes; "cross_entropy": one logit per class; "one_vs_rest": binary cross-entropy averaged
    over C independent outputs against one-hot labels, as the study's task 4 used (about 1/C of the summed loss).
    ``class_weights`` ``(C,)``: each image counts as much as its class's weight; the mean is weighted too.
    """

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        if name == "cross_entropy":
            return F.cross_entropy(logits, labels, weight=class_weights)
        if name == "bce":
            targets = labels.to(logits.dtype).unsqueeze(1)
        else:
            targets = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
        if class_weights is None:
            return F.binary_cross_entropy_with_logits(logits, targets)
        weights = class_weights[labels]
        per_image = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
        return (per_image * weights).sum() / weights.sum()

    return loss


def probabilities(logits: Tensor, loss: str) -> Tensor:
    """Class probabilities ``(N, C)`` in [0, 1], float32.

    Rows sum to 1 but under "one_vs_rest", where each output is a probability of its own.
    """
    logits = logits.float()
    if loss == "bce":
        positive = torch.sigmoid(logits)
        return torch.cat([1 - positive, positive], dim=1)
    return torch.sigmoid(logits) if loss == "one_vs_rest" else torch.softmax(logits, dim=1)


def correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Number of images whose most probable class is their label (a scalar tensor, no transfer from the device)."""
    predicted = (logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(dim=1)
    return (predicted == labels).sum()
