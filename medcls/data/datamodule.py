"""The images of a run as Lightning asks for them."""

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from medcls.config import Config
from medcls.data.batches import BatchDataset, EpochSampler, loader_of
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

    def training_order(self) -> EpochSampler:
        """Which training images are in which batch."""
        n_images, config = len(self.image_set.indices("train")), self.config
        return EpochSampler(n_images, config.batch_size, config.seed, self.epochs_done, join_lone=self.join_lone)

    def train_dataloader(self) -> Loader:
        return loader_of(self.training_set(), self.training_order(), self.config.num_workers)

    def val_dataloader(self) -> Loader:
        return self.loader("val")

    def loader(self, split: str) -> Loader:
        """Batches of a split in order, never augmented."""
        dataset = BatchDataset(*self.arrays(split))
        return loader_of(dataset, EpochSampler(len(dataset.labels), self.config.batch_size, None))
