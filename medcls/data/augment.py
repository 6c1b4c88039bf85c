"""Random changes of training images: the only file that calls albumentations.

albumentations 2.0.8 draws the same changes in every worker and epoch and ignores torch's seed, so every image is seeded
by (seed, epoch, index): the same pixels for any number of workers, another draw each epoch.
"""

import os
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from medcls.config.augment import NESTED, Step, Transforms, steps
from medcls.config.messages import did_you_mean
from medcls.config.targets import check_arguments, locate
from medcls.errors import UserError
from medcls.process import opencv_in_one_thread

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it would ask the network for updates

import albumentations

Transform: TypeAlias = albumentations.BasicTransform | albumentations.BaseCompose


class Augmenter:
    """Applies ``transforms`` (see ``AugmentConfig``), in order, to one image at a time.

    Raises UserError for a name or an argument that is unknown, and for images of another size or type.
    """

    def __init__(self, transforms: Transforms) -> None:
        self.pipeline = albumentations.Compose(build_all(transforms, "augment.transforms"))
        self.has_own = any(not type(one).__module__.startswith("albumentations.") for one in flat(self.pipeline))

    def __call__(self, image: NDArray[np.uint8], *key: int) -> NDArray[np.uint8]:
        """Changed copy of ``image`` (H, W, C); ``key``: integers >= 0 that the draw depends on, and nothing else."""
        # Generators shared by all transforms: with a seed each would start alike, and a flip would determine its shift.
        self.pipeline.set_random_state(np.random.default_rng(key), random.Random(repr(key)))
        with opencv_in_one_thread(), process_seeded(key) if self.has_own else nullcontext():
            changed: NDArray[Any] = self.pipeline(image=image)["image"]
        if changed.shape != image.shape:
            raise UserError(
                f"augment.transforms: turned {size(image)} into {size(changed)}, expected images of the same size.\n"
                "  Put a Resize to image_size after the transforms that crop or pad."
            )
        if changed.dtype != image.dtype:
            raise UserError(
                f"augment.transforms: turned {image.dtype} into {changed.dtype}, expected values from 0 to 255.\n"
                "  Leave out transforms that normalize; the net scales its images itself."
            )
        return changed


@contextmanager
def process_seeded(key: tuple[int, ...]) -> Iterator[None]:
    """Seed the generators of the whole process by ``key`` while the block runs, and leave them as they were.

    A transform of the user's own should draw from ``self.random_generator`` or ``self.py_random``; but one that draws
    from random, numpy.random or torch must depend on nothing else either, nor change what dropout draws.
    """
    import torch

    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    before_python, before_numpy, before_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before_python)
        np.random.set_state(before_numpy)
        torch.set_rng_state(before_torch)


def flat(transform: Transform) -> Iterator[Transform]:
    """A transform and all those nested in it."""
    yield transform
    for inner in getattr(transform, NESTED, ()):
        yield from flat(inner)


def size(image: NDArray[Any]) -> str:
    """Width, height and channels in words."""
    height, width, *channels = image.shape
    return f"{width} x {height} x {channels[0] if channels else 1}"


def build_all(transforms: Transforms, key: str) -> list[Transform]:
    """Transforms of a configuration, those nested in them included; ``key``: where they are, for messages."""
    return [build(step) for step in steps(transforms, key)]


def build(step: Step) -> Transform:
    """One transform. Raises UserError with its key for a name or an argument that is unknown."""
    kind = locate_own(step) if step.own else find(step)
    arguments = {argument: as_tuple(value) for argument, value in step.arguments.items() if argument != NESTED}
    if NESTED in step.arguments:
        inner = build_all(step.arguments[NESTED], f"{step.key}.{NESTED}")
        if not inner:
            raise UserError(f"{step.key}.{NESTED}: found none, expected at least one transform.")
        arguments[NESTED] = inner
    check_arguments(kind, arguments, step.key)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # albumentations only warns of invalid values, and continues without them
        try:
            transform: Transform = kind(**arguments)
        except ValidationError as error:
            wrong = error.errors()[0]
            argument = ".".join(str(part) for part in wrong["loc"])
            raise UserError(f"{step.key}.{argument}: found {wrong['input']!r}. {wrong['msg']}.") from error
        except (UserWarning, ValueError, TypeError, ZeroDivisionError) as error:
            raise UserError(f"{step.key}: {error}") from error
    return transform


def find(step: Step) -> type[Transform]:
    """A transform of albumentations by its name."""
    kind: Any = getattr(albumentations, step.name, None)
    if is_transform(kind):
        return kind
    known = [name for name in dir(albumentations) if is_transform(getattr(albumentations, name))]
    hint = did_you_mean(step.name, known)
    raise UserError(f"{step.key}: albumentations {albumentations.__version__} has no such transform.{hint}")


def locate_own(step: Step) -> type[Transform]:
    """A transform of the user's own by its dotted path."""
    kind = locate(step.name, step.key)
    if not is_transform(kind):
        raise UserError(
            f"{step.key}: found {step.name}.\n"
            "  Expected a subclass of albumentations' ImageOnlyTransform or DualTransform."
        )
    return kind


def is_transform(kind: Any) -> TypeGuard[type[Transform]]:
    """Whether it is a class that changes images, or chooses among such; not Compose, since we build the pipeline."""
    usual = albumentations.ImageOnlyTransform, albumentations.DualTransform, albumentations.BaseCompose
    ours = issubclass(kind, albumentations.Compose) if isinstance(kind, type) else True
    return not ours and issubclass(kind, usual) and kind not in usual


def as_tuple(value: Any) -> Any:
    """Lists as tuples, the form in which albumentations takes ranges; YAML has only lists."""
    if isinstance(value, Mapping):
        return {key: as_tuple(item) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value
