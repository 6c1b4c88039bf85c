"""What changes the weights after each step."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from medcls.config.parts import OptimizerConfig
from medcls.config.targets import call
from medcls.errors import UserError


def build_optimizer(
    optimizer: OptimizerConfig, parameters: Iterable[nn.Parameter], lr: float, device: torch.device
) -> Optimizer:
    """Optimiser of the ``optimizer`` section of the configuration, on weights that lie on ``device``.

    Raises UserError when a user's own one cannot be built or is none.
    """
    # One pass over all weights instead of one per operation.
    fused = {"fused": True} if optimizer.fused and device.type in ("cpu", "cuda") else {}
    built = call(optimizer.target, optimizer.arguments(), "optimizer", parameters, lr=lr, **fused)
    if not isinstance(built, Optimizer):
        raise UserError(f"optimizer: {optimizer.target} returned {type(built).__name__}, expected an optimiser.")
    return built
