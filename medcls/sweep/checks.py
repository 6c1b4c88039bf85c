"""Checks of all jobs before the first starts: their nets, the user's own code, the images, this machine.

Imports are inside the functions: sweep.py runs these in children that have imported it all, and need not wait itself.
"""

import os
from collections.abc import Mapping

from medcls.config import Config
from medcls.config.messages import no_such_choice
from medcls.errors import UserError


def mistakes_of(configs: Mapping[str, Config]) -> dict[str, str]:
    """Error message by job, for jobs whose net cannot take such images or that name code which cannot be used."""
    import torch

    from medcls.models import check_network
    from medcls.run import check_own

    found = {}
    for name, config in configs.items():
        try:
            with torch.device("meta"):  # shapes without memory: the net may be too large for this machine
                check_network(config.model, in_channels=config.data.channels, image_size=config.image_size)
            check_own(config)
        except UserError as error:
            found[name] = str(error)
    return found


def check_metric(name: str) -> None:
    """Raise UserError for a metric that variants cannot be compared by."""
    from medcls.evaluation.metrics import METRICS

    if name not in (compared := [metric.name for metric in METRICS.values() if metric.measure]):
        raise UserError(no_such_choice("sweep.metric", name, compared))


def check_here(configs: Mapping[str, Config]) -> None:
    """Load the images of all jobs into the cache that they share, and see that this machine can train on them.

    Raises UserError for all that a job would be refused for.
    """
    from medcls.audit.gate import audited
    from medcls.sources.load import classes_without_images, load_image_set
    from medcls.training.build import check_class_weights
    from medcls.training.device import check_device

    mistakes: dict[str, None] = {}
    classes: dict[str, tuple[str, ...] | None] = {}  # by images
    for config in configs.values():
        try:
            check_device(config.trainer)
            key = repr((config.data, config.audit, config.image_size))
            if key not in classes:
                classes[key] = classes_without_images(config.data)
                if not config.data.uses_simulation:
                    image_set, _ = audited(load_image_set(config.data, config.image_size), config)
                    classes[key] = image_set.table.classes
            check_class_weights(config.loss.class_weights, len(classes[key] or ()))
        except UserError as error:
            mistakes[str(error)] = None
    if mistakes:
        raise UserError("\n".join(mistakes))


def visible_gpus() -> dict[str, str]:
    """Names of the GPUs for CUDA_VISIBLE_DEVICES -> their UUIDs, by which nvidia-smi cannot confuse them."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = named[:count] if named != [""] else [str(index) for index in range(count)]
    return {name: f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index, name in enumerate(names)}
