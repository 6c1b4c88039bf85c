"""What is shown of a running training: a line per epoch, and below them a bar on a terminal."""

import logging
import sys
from typing import Any

import pytorch_lightning as pl
from tqdm import tqdm

from medcls.runs.history import Row, best_row
from medcls.training.history import History

log = logging.getLogger(__name__)


# The description, a bar that fills what is left of the line, and the time: whole at 80 columns.
BAR = "{desc}  {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"


class Progress(pl.Callback):
    """One bar over all epochs with the validation loss of the last one and the best, and a log line per epoch."""

    def __init__(self, history: History, simulated: bool, show: bool) -> None:
        self.history = history
        self.show = show and sys.stderr.isatty()
        self.mark = "SIMULATED " if simulated else ""
        self.bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches = int(trainer.num_training_batches)
        total, done = batches * (trainer.max_epochs or 0), batches * trainer.current_epoch
        self.bar = tqdm(
            total=total, initial=done, bar_format=BAR, dynamic_ncols=True, disable=not self.show, leave=False
        )
        self.describe(trainer.current_epoch + 1, trainer.max_epochs or 0)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.bar is not None:  # which not every batch reaches: the engine calls now and then
            self.bar.update(trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1 - self.bar.n)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row, epochs = self.history.rows[-1], trainer.max_epochs or 0
        best = best_row(self.history.rows)
        short = self.mark + short_line(row, best, epochs)
        log.info("%s", self.mark + epoch_line(row, best, epochs), extra={"short": short if self.show else None})
        self.describe(min(len(self.history.rows) + 1, epochs), epochs)

    def describe(self, epoch: int, epochs: int) -> None:
        """Show before the bar which epoch is running, and the validation losses of the last and the best one."""
        if self.bar is not None:
            losses = ""
            if self.history.rows:
                last, best = self.history.rows[-1], best_row(self.history.rows)
                losses = f"  val {last['val_loss']:.3f}  best {best['val_loss']:.3f} in {best['epoch']}"
            self.bar.set_description_str(f"{self.mark}epoch {epoch}/{epochs}{losses}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def epoch_line(row: Row, best: Row, epochs: int) -> str:
    """All values of an epoch on one line."""
    names = {"loss": "train_loss", "acc": "train_accuracy", "val_loss": "val_loss", "val_acc": "val_accuracy"}
    values = "  ".join(f"{short} {row[name]:.4f}" for short, name in {**names, "val_auroc": "val_auroc"}.items())
    mark = "  best" if row is best else ""
    return (
        f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}  {values}  lr {row['lr']:.3g}  {row['seconds']:.1f} s{mark}"
    )


def short_line(row: Row, best: Row, epochs: int) -> str:
    """An epoch on a line of 80 columns, including "SIMULATED " before it."""
    values = f"val {row['val_loss']:.3f}  acc {row['val_accuracy']:.3f}  AUROC {row['val_auroc']:.3f}"
    mark = "  best" if row is best else ""
    epoch = f"{row['epoch']:{len(str(epochs))}}/{epochs}"
    return f"{epoch}  {values}  train {row['train_loss']:.3f}  {row['seconds']:.1f} s{mark}"
