"""Which epochs a run keeps, the best and the last, each written whole or not at all."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from medcls.atomic import write_bytes
from medcls.errors import UserError
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.runs.history import best_row, is_over
from medcls.training.history import History


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way to the disk, by way of a file that takes its name only when complete and synced."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


class KeepBestAndLast(Checkpoint):
    """Writes best.ckpt (weights) when the validation loss falls and last.ckpt (all to go on from) every epoch.

    What is best follows from the history, so that a run folder may be moved and a run resumed without losing it.
    Also ends training when the history says that it is over. verify: read the first checkpoint back, since a user's
    own part may have put into it what cannot be read without running code; raises UserError then.
    """

    def __init__(self, folder: RunFolder, history: History, patience: int | None, verify: bool = False) -> None:
        self.folder = folder
        self.history = history
        self.patience = patience
        self.verify = verify

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        rows = self.history.rows
        if best_row(rows) is rows[-1]:
            trainer.save_checkpoint(self.folder.best, weights_only=True)
        trainer.save_checkpoint(self.folder.last)
        if self.verify:
            self.check_plain()
            self.verify = False
        self.folder.write_status("running", len(rows))
        trainer.should_stop = is_over(rows, trainer.max_epochs or 0, self.patience)

    def check_plain(self) -> None:
        """Raise UserError when the run could not be resumed from the checkpoint that was just written."""
        try:
            read_checkpoint(self.folder.last)
        except UserError as error:
            raise UserError(
                "the run could not be resumed from its own checkpoint: a callback, schedule or Classifier of your own "
                f"stores more than tensors and plain values.\n  {error.__cause__}"
            ) from error
