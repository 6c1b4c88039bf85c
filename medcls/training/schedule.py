"""How the learning rate changes from epoch to epoch."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau


def build_schedule(config: Mapping[str, Any], optimizer: Optimizer, epochs: int) -> LRScheduler | None:
    """Schedule of the ``scheduler`` section of the configuration; None for a constant rate."""
    if config["name"] == "cosine":
        return CosineAnnealingLR(optimizer, T_max=epochs, eta_min=config["min_lr"])
    if config["name"] == "plateau":
        return ReduceLROnPlateau(optimizer, factor=config["factor"], patience=config["patience"])
    return None


def step_schedule(schedule: LRScheduler | None, val_loss: float) -> None:
    """Set the rate of the next epoch."""
    if isinstance(schedule, ReduceLROnPlateau):
        schedule.step(val_loss)
    elif schedule is not None:
        schedule.step()
