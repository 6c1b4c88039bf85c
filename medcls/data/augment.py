"""Random changes of training images: the only file that calls albumentations.

albumentations 2.0.8 draws the same changes in every worker and epoch and ignores torch's seed, so every image is seeded
by (seed, epoch, index): the same pixels for any number of workers, another draw each epoch.
"""

import os
import random
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from medcls.errors import UserError

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would ask the network for updates

import albumentations
import cv2

cv2.setNumThreads(0)  # its threads cost more than they save on images this small, and compete with torch's


class Augmenter:
    """Applies ``transforms`` (albumentations' names -> arguments, in order) to one image at a time.

    Raises UserError for a name or an argument that albumentations does not know, and for images of another size.
    """

    def __init__(self, transforms: Mapping[str, Mapping[str, Any]]) -> None:
        self.pipeline = albumentations.Compose([build(name, arguments) for name, arguments in transforms.items()])

    def __call__(self, image: NDArray[np.uint8], *key: int) -> NDArray[np.uint8]:
        """Changed copy of ``image`` (H, W, C); ``key``: integers >= 0 that the draw depends on, and nothing else."""
        # Generators that all transforms share: a seed would start each of them alike, and tie a flip to its shift.
        self.pipeline.set_random_state(np.random.default_rng(key), random.Random(repr(key)))
        changed: NDArray[np.uint8] = self.pipeline(image=image)["image"]
        if changed.shape != image.shape:
            raise UserError(
                f"augment.transforms: make {size(changed)} of {size(image)}, expected images of the same size.\n"
                "  Let a Resize to image_size follow what cuts or enlarges."
            )
        return changed


def size(image: NDArray[np.uint8]) -> str:
    """Width, height and channels in words."""
    height, width, channels = image.shape
    return f"{width} x {height} x {channels}"


def build(name: str, arguments: Mapping[str, Any]) -> albumentations.BasicTransform:
    """One transform by its name in albumentations."""
    key = f"augment.transforms.{name}"
    transform = getattr(albumentations, name, None)
    if not (
        isinstance(transform, type)
        and issubclass(transform, albumentations.ImageOnlyTransform | albumentations.DualTransform)
    ):
        nearest = get_close_matches(name, dir(albumentations), n=1)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"{key}: albumentations {albumentations.__version__} has no such transform.{hint}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it only warns of an argument that it does not know, and goes on without
        try:
            return transform(**{argument: as_tuple(value) for argument, value in arguments.items()})
        except ValidationError as error:
            wrong = error.errors()[0]
            argument = ".".join(str(part) for part in wrong["loc"])
            raise UserError(f"{key}.{argument}: found {wrong['input']!r}. {wrong['msg']}.") from error
        except (UserWarning, ValueError, TypeError) as error:
            raise UserError(f"{key}: {error}") from error


def as_tuple(value: Any) -> Any:
    """Lists as tuples, the form in which albumentations takes ranges; YAML has only lists."""
    if isinstance(value, Mapping):
        return {key: as_tuple(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value
