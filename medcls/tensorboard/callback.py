"""A run in TensorBoard: curves, learning rate, training images and hyper-parameters, in one event file."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image

from medcls.data.datamodule import ImageDataModule
from medcls.runs.folder import RunFolder
from medcls.runs.history import QUANTITIES, Row, column
from medcls.training.history import History

IMAGE_KEYS = ("data", "augment", "image_size")  # keys that the training images depend on


class TensorBoard(pl.Callback):
    """Writes each epoch's row to an event file; ``write_hparams`` adds the page that compares runs.

    swept: keys that the sweep varies which the run belongs to; that page begins with them.

    Not Lightning's logger, which writes hyper-parameters with a metric of -1 at the start, and those of the best epoch
    only into a second file. A resumed run rewrites its file from the history, so that no epoch appears twice.
    """

    def __init__(self, folder: RunFolder, history: History, data: ImageDataModule, swept: Sequence[str] = ()) -> None:
        self.simulated = data.image_set.table.simulated
        # The name of a run on TensorBoard's pages is its folder's.
        mark = self.simulated and "SIMULATED" not in folder.path.name
        self.folder = folder.path / "SIMULATED" if mark else folder.path
        self.run = folder
        self.history = history
        self.data = data
        self.swept = swept
        self.mark = ", SIMULATED" if self.simulated else ""  # behind, since capitals come before the curves
        self.writer: Any = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.writer is None:
            self.open()  # not before the first epoch is done, which importing TensorBoard would delay
        else:
            self.write_row(self.history.rows[-1])

    def open(self) -> None:
        """Start the event file with the training images and what the history holds."""
        # TensorBoard looks for this module before it imports TensorFlow, where that is installed: seconds, and a
        # screen of messages, for what its own file access does as well.
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
        from torch.utils.tensorboard import SummaryWriter

        for stale in self.folder.glob("events.out.tfevents.*"):
            stale.unlink()
        self.writer = SummaryWriter(str(self.folder))
        charts = {quantity: [one.tag for one in columns] for quantity, columns in QUANTITIES.items()}
        layout = {quantity: ["Multiline", tags] for quantity, tags in charts.items() if len(tags) > 1}
        self.writer.add_custom_scalars({f"training and validation{self.mark}": layout})
        if self.data.config.logger.images and self.first_of_sweep():
            self.writer.add_image(f"training images as the net sees them{self.mark}", self.grid(), 1)
        for row in self.history.rows:
            self.write_row(row)

    def first_of_sweep(self) -> bool:
        """Whether no job of the sweep before this one trains on the same images, augmented alike."""
        sweep = self.run.path.parent / "sweep.json"
        if not self.swept or not sweep.is_file():
            return True
        content = json.loads(sweep.read_text(encoding="utf-8"))
        of_images = [key for key in content["keys"] if key.partition(".")[0] in IMAGE_KEYS]
        shown = {one["name"]: repr([one["values"].get(key) for key in of_images]) for one in content["variants"]}
        jobs = {job["name"]: shown[job["variant"]] for job in content["jobs"]}
        name = self.run.path.name
        return name not in jobs or name == next(job for job, images in jobs.items() if images == jobs[name])

    def add_pictures(self, epoch: int, paths: Sequence[Path]) -> None:
        """Add pictures of the run, PNG files, to its images."""
        if self.writer is None:
            self.open()
        for path in paths:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self.writer.add_image(f"{path.stem.replace('_', ' ')}{self.mark}", pixels, epoch, dataformats="HWC")

    def grid(self) -> torch.Tensor:
        """Random training images of the first epoch, augmented, as one picture (3, H, W) uint8."""
        from torchvision.utils import make_grid

        dataset = self.data.training_set()
        order = torch.randperm(len(dataset.labels), generator=torch.Generator().manual_seed(0))
        images, _ = dataset[0, order[: self.data.config.logger.images].tolist()]
        picture: torch.Tensor = make_grid(images.permute(0, 3, 1, 2), nrow=8, padding=2, pad_value=255)
        return picture

    def write_row(self, row: Row) -> None:
        for name, value in row.items():
            if name not in ("epoch", "seconds"):
                self.writer.add_scalar(name if name == "lr" else column(name).tag, value, int(row["epoch"]))
        self.writer.flush()

    def write_hparams(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add the run to the HPARAMS page with the ``values`` of its best epoch, by name, and close the file."""
        from medcls.tensorboard.hparams_page import hparams, summaries

        if self.writer is None:
            self.open()
        tagged = {f"best/{name}": value for name, value in values.items()}
        for tag, value in tagged.items():
            self.writer.add_scalar(tag, value, epoch)
        config = self.data.config
        knobs = hparams(config, f"{config.data.title}{' SIMULATED' if self.simulated else ''}")
        knobs["audit"] = self.data.image_set.notice or "-"
        for summary in summaries(knobs, tagged, self.swept or self.overridden(), alone=bool(self.swept)):
            self.writer._get_file_writer().add_summary(summary)
        self.writer.close()

    def overridden(self) -> list[str]:
        """Keys that the command line set when the run began."""
        overrides = self.run.read_environment()["overrides"]
        return [override.lstrip("+~").partition("=")[0] for override in overrides]
