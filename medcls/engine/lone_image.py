"""Whether a net can be trained on a batch of one image.

Batch norm after the last pooling cannot: it would divide by a variance of nothing. So that no run fails because of
its number of images, a lone last image joins the batch before it, with such nets only; with all others it stays a
batch of its own.
"""

import copy

import torch
from torch import nn

from medcls.config import Config
from medcls.errors import UserError
from medcls.models import build_network

_REFUSAL = "Expected more than 1 value per channel"  # PyTorch's words


def check_batch_size(config: Config) -> None:
    """Raise UserError for batches of one image with a net that cannot be trained on one."""
    if config.batch_size > 1:
        return
    shape = {"in_channels": config.data.channels, "image_size": config.image_size}
    net = config.model.model_copy(update={"weights": None}) if hasattr(config.model, "weights") else config.model
    if not takes_one_image(build_network(net, n_outputs=2, **shape), **shape):
        raise UserError(
            f"batch_size: found 1, but {config.model.title} has batch norm over a single value per channel at "
            f"image_size={config.image_size}. Expected at least 2, or larger images."
        )


def takes_one_image(net: nn.Module, *, in_channels: int, image_size: int) -> bool:
    """Whether ``net`` computes one image (1, in_channels, image_size, image_size) in training; it is left as it is."""
    if not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules()):
        return True
    shapes = copy.deepcopy(net).to("meta").train()
    try:
        shapes(torch.zeros(1, in_channels, image_size, image_size, device="meta"))
    except ValueError as error:
        return _REFUSAL not in str(error)
    except Exception:  # a net of the user's own may do what has no shapes alone
        return True
    return True
