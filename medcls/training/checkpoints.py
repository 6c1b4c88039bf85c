"""Which epochs a run keeps: the best and the last."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from medcls.training.folder import RunFolder
from medcls.training.history import History, best_row, is_over


class KeepBestAndLast(Checkpoint):
    """Writes best.ckpt (weights) when the validation loss falls and last.ckpt (all to go on from) every epoch.

    What is best follows from the history, so that a run folder may be moved and a run resumed without losing it.
    Also ends training when the history says that it is over.
    """

    def __init__(self, folder: RunFolder, history: History, patience: int | None) -> None:
        self.folder = folder
        self.history = history
        self.patience = patience

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        rows = self.history.rows
        if best_row(rows) is rows[-1]:
            trainer.save_checkpoint(self.folder.best, weights_only=True)
        trainer.save_checkpoint(self.folder.last)
        self.folder.write_status("running", len(rows))
        trainer.should_stop = is_over(rows, trainer.max_epochs or 0, self.patience)
