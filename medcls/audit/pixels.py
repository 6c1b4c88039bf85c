"""The images as the audit compares them: gray, at a size of its own, so that no finding depends on the training's."""

import logging

import numpy as np
from numpy.typing import NDArray

from medcls.audit.detail import SIDE
from medcls.config import DataConfig
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.sources.arrays import resized
from medcls.sources.load import load_image_set

log = logging.getLogger(__name__)


def gray_images(image_set: ImageSet, config: DataConfig) -> NDArray[np.uint8]:
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
            f"{image_set.table.root or config.target}: the images are not the ones that were read a moment ago.\n"
            "  Let nothing write there while they are audited, or go without: audit=none"
        )
    return again.images[..., 0]
