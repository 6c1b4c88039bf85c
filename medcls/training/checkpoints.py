"""Which epochs a run keeps, the best and the last, each written whole or not at all."""

import io
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
from medcls.runs.history import Row, best_row, write_history
from medcls.training.history import History

LONGEST = 1.0  # seconds of complete epochs that a kill may cost
SHARE = 0.1  # of the time, at most, that is spent on making checkpoints of epochs shorter than that


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints to a file that takes its name only when complete and synced.

    A checkpoint that is saved to a ``BytesIO`` stays there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = path if isinstance(path, io.BytesIO) else io.BytesIO()
        torch.save(checkpoint, content)
        if content is not path:
            write_bytes(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


class KeepBestAndLast(Checkpoint):
    """Writes best.ckpt (weights) when the validation loss falls, last.ckpt (all that resuming needs) and history.csv.

    After every epoch or, where epochs are short, at least every second and after the last one. A thread writes the
    files of an epoch while the next one trains; ``kept``: epochs whose files are complete.
    The best epoch follows from the history, so that a run folder may be moved and a run resumed without losing it.
    Also ends training when the history says that it is over, or a callback has set ``trainer.should_stop``.
    verify: read the first checkpoint back, since a user's own part may have put into it what cannot be read without
    running code; raises UserError then.
    """

    def __init__(self, folder: RunFolder, history: History, patience: int | None, verify: bool = False) -> None:
        self.folder = folder
        self.history = history
        self.patience = patience
        self.verify = verify
        self.kept = len(history.rows)
        self.best: bytes | None = None  # not written yet
        self.writer = ThreadPoolExecutor(max_workers=1)
        self.written: Future[None] = Future()
        self.written.set_result(None)
        self.saved_at, self.cost = -LONGEST, 0.0  # of the last checkpoint: when it was made, in how many seconds

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.lr_scheduler_configs:
            raise UserError(
                f"classifier: {type(pl_module).__name__}.configure_optimizers returned a schedule, which Lightning "
                "steps only after the epoch's checkpoint is made.\n  Name it in the configuration: scheduler=own "
                "scheduler._target_=..."
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        rows = self.history.rows
        self.history.ended = trainer.should_stop
        if self.history.is_over(trainer.max_epochs or 0, self.patience):
            trainer.should_stop, trainer.fit_loop.min_epochs = True, None  # which until now kept epochs whole
        if best_row(rows) is rows[-1]:
            self.best = content_of(trainer, weights_only=True)
        since = time.monotonic() - self.saved_at
        if trainer.should_stop or since > LONGEST or (self.written.done() and since * SHARE > self.cost):
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Have the state of the run written. Raises an error of the write before, such as UserError: disk full."""
        self.written.result()
        began = time.monotonic()
        best = {} if self.best is None else {self.folder.best: self.best}
        files = best | {self.folder.last: content_of(trainer)}
        self.best, self.saved_at = None, time.monotonic()
        self.cost = self.saved_at - began
        self.written = self.writer.submit(self.write, files, list(self.history.rows))
        if self.verify:
            self.written.result()
            self.check_plain()
            self.verify = False

    def write(self, files: Mapping[Path, bytes], rows: list[Row]) -> None:
        """Write the files of the epoch that ``rows`` end with."""
        write_history(self.folder.history, rows)
        for path, content in files.items():
            write_bytes(path, content)
        self.folder.write_status("running", len(rows))
        self.kept = len(rows)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.written.result()
        self.writer.shutdown()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.writer.shutdown()  # once it has finished; an error of that write is not what ended the run

    def check_plain(self) -> None:
        """Raise UserError when the run could not be resumed from the checkpoint that was just written."""
        try:
            read_checkpoint(self.folder.last)
        except UserError as error:
            raise UserError(
                "the run could not be resumed from its own checkpoint: a callback, schedule or Classifier of your own "
                f"stores more than tensors and plain values. Expected only these in its state.\n  {error.__cause__}"
            ) from error


def content_of(trainer: pl.Trainer, *, weights_only: bool = False) -> bytes:
    """A checkpoint of the present state, as in its file."""
    content = io.BytesIO()
    trainer.save_checkpoint(content, weights_only=weights_only)  # type: ignore[arg-type]
    return content.getvalue()
