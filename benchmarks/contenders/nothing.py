"""A step that costs nothing, to see what is around it: seconds per epoch of ours or of a plain loop.

    python nothing.py plain|auto|single IMAGES EPOCHS

Prints, as JSON, the wall and the CPU seconds from the end of each epoch to the end of the next.
"""

import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

SIZE, N_VAL = 8, 200
ENDS: list[tuple[float, float]] = []


class Nothing(nn.Module):
    """One weight, and logits from one pixel."""

    def __init__(self, n_outputs: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, :1] * self.weight


class Clock(pl.Callback):
    """Notes when epochs end."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        note()


def note() -> None:
    """An epoch has ended."""
    ENDS.append((time.perf_counter(), time.process_time()))


def ours(steps: str, n_images: int, epochs: int) -> None:
    """Train as train.py does."""
    import nothing  # by the name under which the configuration finds it

    import medcls

    counts = {"train": [n_images // 2, n_images // 2], "val": [N_VAL // 2, N_VAL // 2]}
    config = medcls.compose(
        *("model=own", "model._target_=nothing.Nothing", "callbacks=[{_target_: nothing.Clock}]", "data=bone"),
        *(f"image_size={SIZE}", f"epochs={epochs}", "audit=none", "trainer.accelerator=cpu", f"trainer.steps={steps}"),
        data__simulated__counts=counts,
    )
    with tempfile.TemporaryDirectory() as folder:
        medcls.train(config, Path(folder) / "run", show=False)
    ENDS.extend(nothing.ENDS)


def plain(n_images: int, epochs: int) -> None:
    """Train by the plain loop."""
    from plain_loop import Loop, validate

    images, val_images = (torch.zeros(n, SIZE, SIZE, 1, dtype=torch.uint8) for n in (n_images, N_VAL))
    labels, val_labels = torch.arange(n_images) % 2, torch.arange(N_VAL) % 2
    net = Nothing(1, 1, SIZE).to(memory_format=torch.channels_last)
    loop = Loop(net, torch.optim.Adam(net.parameters(), lr=1e-5, fused=True), images, labels)
    for _ in range(epochs):
        loop.train()
        validate(net, val_images, val_labels)
        note()


if __name__ == "__main__":
    from medcls.process import tune_process

    tune_process()
    kind, size, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if kind == "plain":
        plain(size, length)
    else:
        ours(kind, size, length)
    print(json.dumps([[after[0] - before[0], after[1] - before[1]] for before, after in pairwise(ENDS)]))
