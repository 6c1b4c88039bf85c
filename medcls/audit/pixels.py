"""The images as the audit compares them: gray, at a fixed size, so that no finding depends on image_size."""

import logging
import os
import tempfile
import weakref
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from medcls.audit.detail import SIDE
from medcls.config import DataConfig
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.sources.arrays import resized
from medcls.sources.load import load_image_set

log = logging.getLogger(__name__)

Gray: TypeAlias = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]  # images (SIDE, SIDE), one after another


class OnDisk(Sequence[NDArray[np.uint8]]):
    """Gray images (N, SIDE, SIDE) in a file without a name: 60,000 of them would take a gigabyte of memory.

    Raises OSError where the disk has no room for them.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.number, self.bytes = len(images), SIDE * SIDE
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the images are used)
        weakref.finalize(self, self.file.close)
        images.tofile(self.file)
        self.file.flush()

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, at: int) -> NDArray[np.uint8]:  # type: ignore[override]
        if not 0 <= at < self.number:
            raise IndexError(at)
        read = os.pread(self.file.fileno(), self.bytes, int(at) * self.bytes)  # several threads may read at a time
        return np.frombuffer(read, np.uint8).reshape(SIDE, SIDE)


def gray_images(image_set: ImageSet, config: DataConfig) -> Gray:
    """The images (N, SIDE, SIDE) of an image set, read again from where ``config`` says they are.

    Raises UserError where there are others now.
    """
    if image_set.images.shape[1:] == (SIDE, SIDE, 1):
        return image_set.images[..., 0]
    if image_set.table.simulated:
        return resized(image_set.images, SIDE, 1)[..., 0]
    log.info("audit: reading the images at %d pixels, at which they are compared", SIDE)
    again = load_image_set(config.model_copy(update={"channels": 1, "on_unreadable": "skip"}), SIDE)
    if again.digests != image_set.digests:
        raise UserError(
            f"{image_set.table.root or config.target}: the images changed while they were audited.\n"
            "  Make sure that nothing writes there meanwhile, or skip the audit: audit=none"
        )
    try:
        return OnDisk(again.images)
    except OSError:
        return again.images[..., 0]
