"""Images for many optimizer steps at a time: what the engine takes from a loader at once."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from medcls.data.batches import BatchDataset, BatchKey, EpochSampler, loader_of
from medcls.data.datamodule import ImageDataModule
from medcls.training.classifier import Batch

MOST_BATCHES = 32
MOST_BYTES = 16 * 2**20  # of pixels: each worker holds two chunks ready


class Chunk(NamedTuple):
    """Batches one after another: images (N, H, W, C) uint8, labels (N,) int64, and how many images each batch has.

    Of images that lie on the device for the whole training only their indices (N,) int64.
    """

    images: Tensor
    labels: Tensor
    sizes: list[int]

    def batches(self) -> Iterator[Batch]:
        """Images and labels of each batch."""
        return zip(torch.split(self.images, self.sizes), torch.split(self.labels, self.sizes), strict=True)


class ChunkSampler(Sampler[list[BatchKey]]):
    """Yields the batches of ``sampler``, ``per_chunk`` at a time.

    Its length is their number, since Lightning counts batches: of an epoch, of a schedule, of a progress bar.
    """

    def __init__(self, sampler: EpochSampler, per_chunk: int) -> None:
        self.sampler = sampler
        self.per_chunk = per_chunk

    def set_epoch(self, epoch: int) -> None:
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[BatchKey]]:
        batches = iter(self.sampler)
        while chunk := list(islice(batches, self.per_chunk)):
            yield chunk


class ChunkDataset(Dataset[Chunk]):
    """Maps the keys of several batches to a chunk, augmented where ``dataset`` is; ``by_index``: without the pixels."""

    def __init__(self, dataset: BatchDataset, *, by_index: bool) -> None:
        self.dataset = dataset
        self.by_index = by_index

    def __getitem__(self, keys: list[BatchKey]) -> Chunk:
        indices, sizes = [index for _, batch in keys for index in batch], [len(batch) for _, batch in keys]
        if self.by_index:
            return Chunk(torch.tensor(indices), self.dataset.labels[indices], sizes)
        return Chunk(*self.dataset[keys[0][0], indices], sizes)


class ChunkedImages(ImageDataModule):
    """The same batches in the same order as its parent's, many at a time."""

    on_device: Tensor | None = None  # all training images, where chunks hold indices

    def train_dataloader(self) -> DataLoader[Chunk]:  # type: ignore[override]
        order, workers = self.training_order(), self.config.num_workers
        per_chunk, together = self.per_chunk(), self.config.trainer.accumulate
        if workers:
            per_chunk = min(per_chunk, len(order) // (2 * workers))  # work for all of them in each epoch
        whole_steps = max(1, per_chunk // together) * together
        dataset = self.training_set()
        self.on_device = self.moved(dataset)
        chunks = ChunkDataset(dataset, by_index=self.on_device is not None)
        return loader_of(chunks, ChunkSampler(order, whole_steps), workers)

    def moved(self, dataset: BatchDataset) -> Tensor | None:
        """The training images on a CUDA GPU, if the same in every epoch and filling at most half its free memory."""
        if self.trainer is None or dataset.augmenter is not None:
            return None
        device = self.trainer.strategy.root_device
        if device.type != "cuda" or dataset.images.nbytes > torch.cuda.mem_get_info(device)[0] // 2:
            return None
        return dataset.images.to(device)

    def val_dataloader(self) -> DataLoader[Batch]:
        dataset = BatchDataset(*self.arrays("val"))
        together = self.config.batch_size * self.per_chunk()
        return loader_of(dataset, EpochSampler(len(dataset.labels), together, None))

    def per_chunk(self) -> int:
        """Number of batches that fit into a chunk."""
        one_batch = self.config.batch_size * int(self.image_set.images[0].nbytes)
        return max(1, min(MOST_BATCHES, MOST_BYTES // one_batch))
