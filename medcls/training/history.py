"""One row of numbers per epoch, as training makes it."""

import math
import time
from typing import Any

import pytorch_lightning as pl

from medcls.errors import UserError
from medcls.runs.history import COLUMNS, Row


class History(pl.Callback):
    """Keeps a row per epoch, in checkpoints too.

    Columns: epoch (from 1), those of ``COLUMNS``, whatever else was logged as val_<name>, lr (of that epoch) and
    seconds (since the end of the epoch before, so that checkpoints and logs count).
    Raises UserError when a loss is no longer finite.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        previous, self.began = self.began, time.monotonic()
        row: Row = {"epoch": trainer.current_epoch + 1}
        own = [name for name in trainer.callback_metrics if name.startswith("val_") and name not in COLUMNS]
        row |= {name: float(trainer.callback_metrics[name]) for name in (*COLUMNS, *own)}
        row |= {"lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": round(self.began - previous, 3)}
        if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
            raise UserError(
                f"training diverged in epoch {row['epoch']}: training loss {row['train_loss']}, validation loss "
                f"{row['val_loss']}.\n  Expected finite losses: lower lr (now {row['lr']})."
            )
        self.rows.append(row)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
