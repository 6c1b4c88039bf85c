"""What training minimizes, and how its logits become probabilities."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medcls.config.parts import LossConfig, OwnLoss, read_part
from medcls.config.targets import call, check_arguments, locate
from medcls.errors import UserError

LossFunction = Callable[[Tensor, Tensor], Tensor]
WeightedLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def read_loss(loss: str | Mapping[str, Any]) -> LossConfig:
    """The ``loss`` section of a configuration, or what a checkpoint holds of it: its name, where that says all."""
    part: LossConfig = read_part("loss", {"name": loss, "class_weights": None} if isinstance(loss, str) else loss)
    return part


def outputs_of(loss: LossConfig, n_classes: int) -> str:
    """What the logits mean: "bce", "cross_entropy" or "one_vs_rest"; of two classes always "bce"."""
    if n_classes == 2:
        return "bce"
    return "cross_entropy" if loss.outputs == "default" else loss.outputs


def n_outputs(outputs: str, n_classes: int) -> int:
    """Number of logits: one for two classes under "bce", else one per class."""
    return 1 if outputs == "bce" else n_classes


def build_loss(loss: LossConfig, outputs: str, n_classes: int, class_weights: Tensor | None) -> WeightedLoss:
    """The loss of a configuration, of logits ``(N, n_outputs)``, labels ``(N,)`` and class weights ``(C,)`` or None.

    Raises UserError when a user's own loss cannot be built, has trainable weights, or does not return a single number.
    """
    if not isinstance(loss, OwnLoss):
        make = locate(loss.target, "loss")
        return lambda logits, labels, weights: make(outputs, weights)(logits, labels)
    own = _own(loss, class_weights)
    if isinstance(own, nn.Module) and any(parameter.requires_grad for parameter in own.parameters()):
        raise UserError(f"loss: {loss.target} has trainable weights, expected none: only the net is trained.")
    try:
        logits = torch.zeros(2, n_outputs(outputs, n_classes), requires_grad=True)
        found = own(logits, torch.tensor([0, 1]), class_weights)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"loss: {loss.target} cannot take logits (2, {n_outputs(outputs, n_classes)}) and labels (2,): {error}"
        ) from error
    if not (isinstance(found, Tensor) and found.ndim == 0 and found.requires_grad):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(f"loss: {loss.target} returned {shape}, expected a differentiable mean over the images.")
    return own


class _Built(nn.Module):
    """A user's loss that is a class, built once; a module, so that what it holds follows the net to its device."""

    def __init__(self, loss: LossFunction) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        return self.loss(logits, labels)


def check_loss(loss: OwnLoss) -> None:
    """Raise UserError when a user's own loss cannot be found, or does not take its arguments."""
    found = locate(loss.target, "loss")
    given = {} if loss.class_weights is None else {"class_weights": None}
    logits_and_labels = () if inspect.isclass(found) else (None, None)
    check_arguments(found, loss.arguments(), "loss", *logits_and_labels, **given)


def _own(loss: OwnLoss, class_weights: Tensor | None) -> WeightedLoss:
    check_loss(loss)
    given = {} if class_weights is None else {"class_weights": class_weights}
    found = locate(loss.target, "loss")
    if inspect.isclass(found):
        return _Built(call(loss.target, loss.arguments(), "loss", **given))

    def function(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        passed = {} if weights is None else {"class_weights": weights}
        result: Tensor = found(logits, labels, **passed, **loss.arguments())
        return result

    return function


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
