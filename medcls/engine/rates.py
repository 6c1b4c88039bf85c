"""The learning rate as a tensor on the GPU, which a captured step reads anew at each replay."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer


class RatesOnDevice:
    """Hands PyTorch's fused optimizers their rates as float32 tensors for the length of each step.

    For everything else, schedules, histories and checkpoints, they stay Python's floats. Steps that are not captured
    get tensors too, lest the last bit of a weight depend on the capture.
    """

    def __init__(self, optimizer: Optimizer, device: torch.device) -> None:
        self.optimizer = optimizer
        self.device = device
        self.tensors: list[Tensor] = []
        self.filled: list[float] = []
        self.options: list[dict[str, Any]] = []  # of the groups, while a step lasts
        optimizer.register_step_pre_hook(lambda *_: self.lend())
        optimizer.register_step_post_hook(lambda *_: self.take_back())

    def refresh(self) -> None:
        """Write the present rates to the device."""
        for group in self.groups[len(self.tensors) :]:  # all of them at first; a callback may add others
            self.tensors.append(torch.tensor(group["lr"], dtype=torch.float32, device=self.device))
            self.filled.append(group["lr"])
        for position, group in enumerate(self.groups):
            if group["lr"] != self.filled[position]:
                self.tensors[position].fill_(group["lr"])
                self.filled[position] = group["lr"]

    def lend(self) -> None:
        """Before a step, whether it is taken or captured."""
        if not (self.device.type == "cuda" and torch.cuda.is_current_stream_capturing()):
            self.refresh()
        self.take_back()  # of a step that failed
        self.options = [{name: group[name] for name in ("lr", "capturable") if name in group} for group in self.groups]
        for group, options, tensor in zip(self.groups, self.options, self.tensors, strict=True):
            group.update(dict.fromkeys(options, True) | {"lr": tensor})

    def take_back(self) -> None:
        """After a step."""
        for group, options in zip(self.groups, self.options, strict=False):
            group.update(options)
        self.options = []

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups of weights with their options."""
        return self.optimizer.param_groups


class LendRates(pl.Callback):
    """Has fused optimizers on a CUDA GPU take their rates from the device, from the start of training."""

    def __init__(self) -> None:
        self.rates: list[RatesOnDevice] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pl_module.device.type == "cuda":
            self.rates = [RatesOnDevice(one, pl_module.device) for one in trainer.optimizers if is_fused(one)]


def is_fused(optimizer: Optimizer) -> bool:
    """Whether PyTorch changes all weights in one pass, and so takes a rate from the device."""
    return all(group.get("fused") for group in optimizer.param_groups)
