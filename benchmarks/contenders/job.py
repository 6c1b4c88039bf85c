"""What each contender is asked to train, and how it answers: the same for all, independent of medcls."""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

IMAGE_SIZE, BATCH_SIZE = 128, 8
LR, EPS = 1e-5, 1e-7


class Net(NamedTuple):
    """Widths of the 3x3 convolutions, a 2x2 max pool after each row; then the widths of the hidden dense layers."""

    stages: list[list[int]]
    dense: list[int]

    @property
    def n_base(self) -> int:
        """Width of the first convolution."""
        return self.stages[0][0]


NETS = {
    "lenet": Net([[16], [32]], [32]),
    "alexnet": Net([[8], [16], [32, 32, 16]], [64, 64]),
    "vgg16": Net([[8, 8], [16, 16], [32, 32, 32], [64, 64, 64], [64, 64, 64]], [64, 64]),
}


class Arrays(NamedTuple):
    """Decoded images (N, H, W, 1) uint8 and labels (N,) int64, 0 or 1."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    val_images: NDArray[np.uint8]
    val_labels: NDArray[np.int64]

    @classmethod
    def load(cls, data: Path) -> "Arrays":
        """Arrays that the benchmark decoded once."""
        with np.load(data / "arrays.npz") as file:
            return cls(**file)


class Job:
    """Training of one net for ``epochs`` epochs, including uncounted ones; read from the command line.

    ``data``: folder with arrays.npz and images/{train,val}/<class>/*.jpg.
    """

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--data", type=Path, required=True)
        parser.add_argument("--net", choices=NETS, required=True)
        parser.add_argument("--epochs", type=int, required=True)
        parser.add_argument("--accelerator", choices=["cpu", "gpu"], required=True)
        parser.add_argument("--answer", type=Path, required=True)
        parser.add_argument("--augmented", action="store_true")
        parser.add_argument("--captured", action="store_true")
        parser.add_argument("--workers", type=int, default=0)
        self.options = parser.parse_args()
        self.data: Path = self.options.data
        self.net = NETS[self.options.net]
        self.epochs: int = self.options.epochs
        self.accelerator: str = self.options.accelerator
        self.ends: list[float] = []
        self.val_losses: list[float] = []

    def epoch_ended(self, val_loss: float) -> None:
        """To be called at the end of every epoch, after its validation."""
        self.ends.append(time.perf_counter())
        self.val_losses.append(val_loss)

    def answer(self, parameters: int) -> None:
        """Write the seconds from the end of one epoch to the end of the next, so that everything in between counts."""
        seconds = [after - before for before, after in pairwise(self.ends)]
        content = {"seconds": seconds, "val_losses": self.val_losses, "parameters": parameters}
        self.options.answer.write_text(json.dumps(content))

    def cannot_run(self, reason: str) -> NoReturn:
        """Exit without a time because the machine lacks something."""
        self.options.answer.write_text(json.dumps({"unavailable": reason}))
        raise SystemExit
