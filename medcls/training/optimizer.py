"""What changes the weights after each step."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medcls.config import Config
from medcls.config.parts import OptimizerConfig
from medcls.config.targets import call
from medcls.errors import UserError
from medcls.models import build_network
from medcls.models.pretrained import to_be_restored


def build_optimizer(
    optimizer: OptimizerConfig, parameters: Iterable[nn.Parameter], lr: float, device: torch.device
) -> Optimizer:
    """Optimizer of the ``optimizer`` section of the configuration, on weights that lie on ``device``.

    Raises UserError when a user's own one cannot be built or is not an optimizer.
    """
    # One pass over all weights instead of one per operation.
    fused = {"fused": True} if optimizer.fused and device.type in ("cpu", "cuda") else {}
    built = call(optimizer.target, optimizer.arguments(), "optimizer", parameters, lr=lr, **fused)
    if not isinstance(built, Optimizer):
        raise UserError(f"optimizer: {optimizer.target} returned {type(built).__name__}, expected an optimizer.")
    return built


def try_optimizer(config: Config) -> None:
    """Take a step of the configured optimizer on two images of noise. Raises UserError where it fails."""
    channels, size = config.data.channels, config.image_size
    with to_be_restored():  # nothing is downloaded
        net = build_network(config.model, n_outputs=2, in_channels=channels, image_size=size)
    device = torch.device("cuda" if torch.cuda.is_available() and config.trainer.accelerator != "cpu" else "cpu")
    net = net.to(device).to(memory_format=torch.channels_last).eval()  # as it is trained, but for batch norm
    images = torch.rand(2, size, size, channels, device=device).permute(0, 3, 1, 2)
    optimizer = build_optimizer(config.optimizer, net.parameters(), config.lr, device)

    def gradient() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = (net(images) - 1).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    try:
        optimizer.step(once(gradient, config.trainer.accumulate))
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"optimizer: {config.optimizer.target} cannot take a step with {config.model.title}: "
            f"{type(error).__name__}: {error}"
        ) from error


def once(gradient: Callable[[], Any], batches: int) -> Callable[[], Any]:
    """What an optimizer calls for the gradient of a step of so many batches.

    Raises UserError when it is called twice in a step of several, where it would give that of the last batch alone.
    """
    if batches == 1:
        return gradient
    calls = count()

    def of_all_batches() -> Any:
        if next(calls):
            raise UserError(
                "trainer.accumulate: found more than 1 with an optimizer that computes the gradient of a step "
                "more than once.\n  Expected trainer.accumulate=1, or another optimizer."
            )
        return gradient()

    return of_all_batches
