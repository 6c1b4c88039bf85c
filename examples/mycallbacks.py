"""A callback of your own: any callback of Lightning.

python train.py model=lenet data=bone 'callbacks=[{_target_: mycallbacks.Note, path: notes.txt}]' loggers=[csv]
"""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl


class Note(pl.Callback):
    """Writes a line after each epoch: its number, and the largest weight of the net.

    What it returns from ``state_dict`` is stored in the checkpoints, so that a resumed run carries on counting; plain
    values only.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.epochs = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs += 1
        largest = max(float(weights.abs().max()) for weights in pl_module.parameters())
        with (Path(trainer.default_root_dir) / self.path).open("a") as file:  # the run folder
            file.write(f"{self.epochs} {largest:.4f}\n")

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]
