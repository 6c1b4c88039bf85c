"""A training step of your own: mixup (Zhang et al., 2018), which trains on blends of two images and their labels.

python train.py model=lenet data=bone classifier._target_=mymodule.Mixup +classifier.args.alpha=0.2
python sweep.py model=lenet data=bone classifier._target_=mymodule.Mixup +classifier.args.alpha=0.1,0.4
"""

from typing import Any

import torch
from torch import Tensor

from medcls import Classifier


class Mixup(Classifier):
    """medcls's LightningModule with another training step; ``alpha`` > 0: the larger, the stronger the blending."""

    def __init__(self, *, alpha: float = 0.2, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch  # (N, H, W, C) uint8, (N,)
        share = float(torch.distributions.Beta(self.alpha, self.alpha).sample())
        order = torch.randperm(len(labels), device=labels.device)
        logits = self(share * images + (1 - share) * images[order])
        loss = share * self.compute_loss(logits, labels) + (1 - share) * self.compute_loss(logits, labels[order])
        self.track(loss, logits, labels)  # the epoch's training loss and accuracy
        return loss
