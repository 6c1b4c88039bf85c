"""What one sees of a running training: a bar on a terminal, one line per epoch elsewhere and in train.log."""

import logging
import sys
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from medcls.runs.history import Row, best_row
from medcls.training.history import History

log = logging.getLogger(__name__)


class Progress(pl.Callback):
    """One bar over all epochs with the figures of the last complete one, and a log line per epoch."""

    def __init__(self, history: History, simulated: bool, show: bool) -> None:
        self.history = history
        self.show = show and sys.stderr.isatty()
        self.mark = "SIMULATED " if simulated else ""
        self.bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches = int(trainer.num_training_batches)
        total, done = batches * (trainer.max_epochs or 0), batches * trainer.current_epoch
        self.bar = tqdm(total=total, initial=done, unit="batch", dynamic_ncols=True, disable=not self.show, leave=False)
        self.bar.set_description(f"{self.mark}epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(self, *arguments: Any) -> None:
        if self.bar is not None:
            self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row = self.history.rows[-1]
        best = best_row(self.history.rows)
        log.info("%s", self.mark + epoch_line(row, best, trainer.max_epochs or 0), extra={"epoch_line": True})
        if self.bar is not None:
            self.bar.set_description(
                f"{self.mark}epoch {min(row['epoch'] + 1, trainer.max_epochs or 0)}/{trainer.max_epochs}"
            )
            self.bar.set_postfix_str(
                f"loss {row['train_loss']:.3f} acc {row['train_accuracy']:.3f} | val {row['val_loss']:.3f} "
                f"{row['val_accuracy']:.3f} | best {best['val_loss']:.3f} in {best['epoch']}"
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def epoch_line(row: Row, best: Row, epochs: int) -> str:
    """All figures of an epoch on a line."""
    names = {"loss": "train_loss", "acc": "train_accuracy", "val_loss": "val_loss", "val_acc": "val_accuracy"}
    values = "  ".join(f"{short} {row[name]:.4f}" for short, name in {**names, "val_auroc": "val_auroc"}.items())
    mark = "  best" if row is best else ""
    return (
        f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}  {values}  lr {row['lr']:.3g}  {row['seconds']:.1f} s{mark}"
    )
