"""The images of a run as Lightning asks for them."""

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from medcls.config import Config
from medcls.data.batches import BatchDataset, batch_loader
from medcls.data.image_set import ImageSet

Loader = DataLoader[tuple[Tensor, Tensor]]


class ImageDataModule(pl.LightningDataModule):
    """Batches of an image set: training shuffled and augmented, validation and test as they are, in order.

    ``epochs_done``: of a resumed run; Lightning has workers draw its first batches before it names the epoch.
    ``join_lone``: a last training batch of one image is part of the one before.
    """

    def __init__(self, image_set: ImageSet, config: Config, epochs_done: int = 0, *, join_lone: bool = False) -> None:
        super().__init__()
        self.image_set = image_set
        self.config = config
        self.epochs_done = epochs_done
        self.join_lone = join_lone
        self.augmenter = None
        if config.augment.transforms:
            # Imported here: albumentations takes seconds to import, which a run without augmentation should not cost.
            from medcls.data.augment import Augmenter

            self.augmenter = Augmenter(config.augment.transforms)

    def training_set(self) -> BatchDataset:
        """Training images, augmented where the configuration asks for it."""
        return BatchDataset(*self.arrays("train"), self.augmenter, self.config.seed)

    def arrays(self, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images (N, H, W, C) and labels (N,) of a split."""
        return self.image_set.images[self.image_set.indices(split)], self.image_set.labels(split)

    def train_dataloader(self) -> Loader:
        config = self.config
        return batch_loader(
            self.training_set(),
            config.batch_size,
            shuffle_seed=config.seed,
            epoch=self.epochs_done,
            num_workers=config.num_workers,
            join_lone=self.join_lone,
        )

    def val_dataloader(self) -> Loader:
        return self.loader("val")

    def loader(self, split: str) -> Loader:
        """Batches of a split in order, never augmented."""
        return batch_loader(BatchDataset(*self.arrays(split)), self.config.batch_size)
