"""A loss of your own: focal loss (Lin et al., 2017), which counts well-classified images less.

python train.py model=lenet data=bone loss=own loss._target_=mylosses.FocalLoss +loss.args.gamma=2
"""

import torch.nn.functional as F
from torch import Tensor, nn


class FocalLoss(nn.Module):
    """Mean over the images of (1 - p)^gamma * cross-entropy, p being the probability of the true class.

    Called with logits (N, 1) of two classes or (N, C) of more, and integer labels (N,).
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            entropy = F.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype), reduction="none")
        else:
            entropy = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - (-entropy).exp()) ** self.gamma * entropy).mean()
