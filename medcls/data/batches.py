"""Whole batches straight from the array of images, in an order that depends on (seed, epoch) alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

if TYPE_CHECKING:
    from medcls.data.augment import Augmenter

BatchKey = tuple[int, list[int]]  # epoch, indices of the images
Item = TypeVar("Item")


class EpochSampler(Sampler[BatchKey]):
    """Yields (epoch, indices) per batch: shuffled by (seed, epoch), or in order without a seed.

    ``join_lone``: a last batch of one image is part of the one before. The epoch travels with the indices, so that
    workers kept over epochs know it too. The trainer calls ``set_epoch``.
    """

    def __init__(
        self, n_images: int, batch_size: int, seed: int | None, epoch: int = 0, *, join_lone: bool = False
    ) -> None:
        self.n_images = n_images
        self.joined = int(join_lone and n_images % batch_size == 1 and n_images > 1)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_images // self.batch_size) - self.joined

    def __iter__(self) -> Iterator[BatchKey]:
        order = np.arange(self.n_images)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.n_images)
        starts = [i * self.batch_size for i in range(len(self))]
        for start, end in zip(starts, [*starts[1:], self.n_images], strict=True):
            yield self.epoch, order[start:end].tolist()


class BatchDataset(Dataset[tuple[Tensor, Tensor]]):
    """Maps (epoch, indices) to a batch: images (N, H, W, C) uint8 and labels (N,) int64.

    ``images`` (M, H, W, C) uint8, ``labels`` (M,). With an ``augmenter``, image i of epoch e is drawn by (seed, e, i).
    """

    def __init__(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], augmenter: "Augmenter | None" = None, seed: int = 0
    ) -> None:
        self.images = torch.from_numpy(images)
        self.labels = torch.from_numpy(labels)
        self.augmenter = augmenter
        self.seed = seed

    def __getitem__(self, key: BatchKey) -> tuple[Tensor, Tensor]:
        epoch, indices = key
        images = self.images[indices]
        if self.augmenter is not None:
            for image, index in zip(images.numpy(), indices, strict=True):
                image[:] = self.augmenter(image, self.seed, epoch, index)
        return images, self.labels[indices]


def loader_of(dataset: Dataset[Item], sampler: Sampler[Any], num_workers: int = 0) -> DataLoader[Item]:
    """Loader whose items are those of ``dataset`` at the keys that ``sampler`` yields."""
    return DataLoader(
        dataset,
        sampler=sampler,
        batch_size=None,  # the dataset makes the batches: one look-up per batch instead of a collation per image
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        # Without a generator of its own, each start of the loader would draw from the one that dropout draws from.
        generator=torch.Generator(),
    )
