"""The images themselves, for commands that show or change what nets judge: the run's own, or those of a folder."""

import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medcls.config import Config
from medcls.errors import UserError
from medcls.predict.inputs import Inputs
from medcls.predict.nets import Net
from medcls.predict.trained import Preprocessing, read_image
from medcls.predict.training_images import TrainingImages, training_images
from medcls.sources.location import cache_folder
from medcls.training.classifier import Classifier
from medcls.training.losses import probabilities

log = logging.getLogger(__name__)

Images = NDArray[np.uint8]


def own_images(net: Net, config: Config, allowed: Collection[str], root: Path | None, what: str) -> TrainingImages:
    """Images of the net's run, of all splits; ``root``: the folder where they are now, None where they were.

    Raises UserError where they are not available; ``what``: what data.root should name then, in words.
    """
    found = training_images(net, cache_folder(config.data.cache_dir), allowed, root)
    if isinstance(found, str):
        key = "missing, and" if root is None else f"found {root}, where"
        raise UserError(
            f"data.root: {key} the run's own images are not available: {found}.\n  Name {what}: data.root=..."
        )
    return found


def read_inputs(inputs: Inputs, how: Preprocessing, max_pixels: int) -> tuple[Inputs, Images]:
    """Those that can be read, with their images (N, H, W, C); the others are logged.

    Raises UserError where none can.
    """
    read = [read_image(path, how, max_pixels) for path in inputs.paths]
    for name, image in zip(inputs.names, read, strict=True):
        if isinstance(image, str):
            log.warning("%s cannot be read: %s", name, image)
    kept = [i for i, image in enumerate(read) if not isinstance(image, str)]
    if not kept:
        raise UserError(f"data.root: none of {len(read)} images below {inputs.root} can be read.")
    return inputs.select(kept), np.stack([image for image in read if not isinstance(image, str)])


def probabilities_of(module: Classifier, batches: Iterable[Images]) -> NDArray[np.float32]:
    """Probabilities (N, C) of batches of images (n, H, W, C), where the net is."""
    with torch.inference_mode():
        logits = [module(torch.from_numpy(batch).to(module.device)).cpu() for batch in batches]
        return np.asarray(probabilities(torch.cat(logits), module.loss).numpy(), np.float32)
