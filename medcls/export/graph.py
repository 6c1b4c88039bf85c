"""What is exported: from uint8 images to probabilities, calibrated ones, and the class chosen, in one module."""

import torch
from torch import Tensor, nn

from medcls.decision.temperature import EPSILON, TINY, Temperature
from medcls.predict.nets import Ensemble
from medcls.training.losses import probabilities

INPUT = "images"


class Graph(nn.Module):
    """Nets that judge together as in ``medcls predict``, with what was fixed on their validation images.

    Input: images (N, image_size, image_size, channels), uint8. Outputs, in the order of ``outputs``: probabilities
    (N, C), float64, the mean over nets; calibrated (N, C), the same at the temperature, where there is one; chosen
    (N,), int64, the class: of two the positive one from ``threshold`` on, where there is one, else the most probable.
    """

    def __init__(self, ensemble: Ensemble, threshold: float | None, temperature: Temperature | None) -> None:
        super().__init__()
        self.nets = nn.ModuleList([net.module for net in ensemble.nets])
        self.losses = [net.module.loss for net in ensemble.nets]
        self.positive, self.threshold, self.temperature = ensemble.positive_index, threshold, temperature
        self.eval().requires_grad_(False)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in their order."""
        return ["probabilities", *(["calibrated"] if self.temperature else []), "chosen"]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        each = [probabilities(net(images), loss).double() for net, loss in zip(self.nets, self.losses, strict=True)]
        mean = torch.stack(each).mean(dim=0)
        calibrated = () if self.temperature is None else (at_temperature(mean, self.temperature),)
        return mean, *calibrated, self.chosen(mean)

    def chosen(self, mean: Tensor) -> Tensor:
        """The class (N,) by probabilities (N, C), which a temperature does not change."""
        if self.threshold is None:
            return mean.argmax(dim=1)
        return torch.where(mean[:, self.positive] >= self.threshold, self.positive, 1 - self.positive)


def at_temperature(p: Tensor, temperature: Temperature) -> Tensor:
    """Probabilities (N, C), float64, as ``Temperature.calibrate`` has them."""
    assert temperature.value is not None
    logits = torch.where(p > 0, p, EPSILON if temperature.independent or p.shape[1] == 2 else TINY).log()
    if temperature.independent:
        logits = logits - torch.where(p < 1, 1 - p, EPSILON).log()
        return torch.sigmoid(logits / temperature.value)
    return torch.softmax(logits / temperature.value, dim=1)
