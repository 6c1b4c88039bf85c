"""A net of your own: a small residual net.

python train.py model=own model._target_=mynet.SmallResNet data=bone
python sweep.py model=own model._target_=mynet.SmallResNet +model.args.width=8,16 data=bone seed=0,1,2
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and the way around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(images + self.norm(self.second(F.relu(self.first(images)))))


class SmallResNet(nn.Module):
    """Maps (N, in_channels, image_size, image_size) in [0, 1] to (N, n_outputs) logits, for any image size.

    medcls sets the first three arguments; yours follow, with defaults or set by +model.args.<name>=...
    """

    def __init__(self, n_outputs: int, in_channels: int, image_size: int, width: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), Block(width), Block(width)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(images).mean(dim=(2, 3))))
