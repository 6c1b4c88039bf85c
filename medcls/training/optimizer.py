"""What changes the weights after each step."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

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


def once(gradient: Callable[[], Any]) -> Callable[[], Any]:
    """What an optimiser calls for a gradient of several batches; raises UserError when it does so twice in a step.

    A second call would give the gradient of the last batch alone.
    """
    calls = count()

    def of_all_batches() -> Any:
        if next(calls):
            raise UserError(
                "trainer.accumulate: found more than 1 with an optimiser that computes the gradient of a step "
                "more than once.\n  Expected trainer.accumulate=1, or another optimiser."
            )
        return gradient()

    return of_all_batches
