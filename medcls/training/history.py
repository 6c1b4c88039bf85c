"""One row of numbers per epoch, as training makes it."""

import math
import time
from typing import Any

import pytorch_lightning as pl

from medcls.errors import UserError
from medcls.runs.history import COLUMNS, Row, is_over


class History(pl.Callback):
    """Keeps a row per epoch, in checkpoints too.

    Columns: epoch (from 1), those of ``COLUMNS``, whatever else was logged as val_<name>, lr (of that epoch) and
    seconds (since the end of the epoch before, so that checkpoints and logs count).
    ``ended``: whether a callback of the user's own has ended the run after the last of them.
    Raises UserError when a loss is no longer finite, or an epoch was cut short.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.ended = False
        self.measured: Row = {}  # of the current epoch
        self.began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before a callback of the user's own may log something else by one of these names.
        self.measured = {name: float(trainer.callback_metrics[name]) for name in COLUMNS}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        check_whole(trainer)
        previous, self.began = self.began, time.monotonic()
        row: Row = {"epoch": trainer.current_epoch + 1}
        own = [name for name in trainer.callback_metrics if name.startswith("val_") and name not in COLUMNS]
        row |= self.measured | {name: float(trainer.callback_metrics[name]) for name in own}
        row |= {"lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": round(self.began - previous, 3)}
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            raise UserError(
                f"training diverged in epoch {row['epoch']}: training loss {row['train_loss']}, validation loss "
                f"{row['val_loss']}.\n  Expected finite losses: lower lr (now {row['lr']})."
            )
        self.rows.append(row)

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Whether nothing is left to train."""
        return self.ended or is_over(self.rows, epochs, patience)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows} | ({"ended": True} if self.ended else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.ended = list(state_dict["rows"]), bool(state_dict.get("ended"))


def check_whole(trainer: pl.Trainer) -> None:
    """Raise UserError where batches of the epoch were left out: to Lightning a StopIteration is the end of them."""
    loop = trainer.fit_loop.epoch_loop
    for what, done, expected in (
        ("training", loop.batch_progress.current.completed, trainer.num_training_batches),
        ("validation", loop.val_loop.batch_progress.total.completed, sum(trainer.num_val_batches)),
    ):
        if done != expected:
            raise UserError(
                f"epoch {trainer.current_epoch + 1} ended after {done} of {expected} {what} batches.\n"
                "  A part of your own raised StopIteration, or returned -1 from on_train_batch_start. To end a run "
                "after an epoch, set trainer.should_stop = True."
            )
