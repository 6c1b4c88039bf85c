"""Any classification net of torchvision by name: the baseline that practitioners compare with."""

import copy
from difflib import get_close_matches

import torch
import torchvision
from torch import Tensor, nn

IMAGENET_CLASSES = 1000


class Normalized(nn.Module):
    """A net behind the normalisation that its pretrained weights expect; input in [0, 1]."""

    def __init__(self, net: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.net = net
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net((images - self.mean) / self.std)
        return logits


def build_torchvision(
    name: str, weights: str | None, *, n_outputs: int, in_channels: int, image_size: int
) -> nn.Module:
    """Net ``name`` with its first convolution and its head adapted to the data.

    ``weights``: None, or a name such as "DEFAULT" (downloaded at first use). Pretrained nets normalise their input by
    their own constants; on gray images with the constants' and the first kernels' mean and sum over colours.
    Raises ValueError for an unknown name or weights that cannot be had, or when the image is too small for the net.
    """
    net = load(name, weights, image_size)
    adapt_first_convolution(net, in_channels, pretrained=weights is not None)
    adapt_head(net, n_outputs)
    if weights is not None:
        constants = torchvision.models.get_weight(f"{torchvision.models.get_model_weights(name).__name__}.{weights}")
        mean, std = (torch.tensor(getattr(constants.transforms(), which)) for which in ("mean", "std"))
        if in_channels == 1:
            mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        net = Normalized(net, mean.tolist(), std.tolist())
    check_image_size(net, name, in_channels, image_size)
    return net


def load(name: str, weights: str | None, image_size: int) -> nn.Module:
    """Net ``name`` as torchvision builds it, without auxiliary heads."""
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        nearest = get_close_matches(name, names, n=1)
        raise ValueError(
            f"torchvision has no net {name}.{f' Did you mean model.name={nearest[0]}?' if nearest else ''}"
        )
    options: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False} | ({} if weights else {"init_weights": True})
    if name.startswith("vit_"):
        options["image_size"] = image_size
    known = torchvision.models.get_model_weights(name).__members__
    if weights is not None and weights not in known:
        raise ValueError(f"there are no weights {weights} of {name}; known: {', '.join(known) or 'none'}")
    try:
        net: nn.Module = torchvision.models.get_model(name, weights=weights, **options)
    except OSError as error:  # URLError among them
        raise ValueError(f"the weights {weights} of {name} cannot be downloaded ({error})") from error
    if hasattr(net, "transform_input"):
        # Inception's own change of normalisation reads three channels; Normalized takes its place.
        net.transform_input = False  # type: ignore[assignment]
    return net


def adapt_first_convolution(net: nn.Module, in_channels: int, *, pretrained: bool) -> None:
    """Make the first convolution read ``in_channels``; pretrained kernels are summed over colours for gray images."""
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    if first.in_channels == in_channels:
        return
    with torch.no_grad():
        kernels = first.weight.sum(dim=1, keepdim=True) if pretrained else first.weight[:, :in_channels].clone()
    first.in_channels = in_channels
    first.weight = nn.Parameter(kernels)


def adapt_head(net: nn.Module, n_outputs: int) -> None:
    """Replace the layer that gives ImageNet's thousand logits by one that gives ``n_outputs``."""
    for name, module in reversed(list(net.named_modules())):
        if isinstance(module, nn.Linear) and module.out_features == IMAGENET_CLASSES:
            return net.set_submodule(name, nn.Linear(module.in_features, n_outputs))
        if isinstance(module, nn.Conv2d) and module.out_channels == IMAGENET_CLASSES:
            return net.set_submodule(name, nn.Conv2d(module.in_channels, n_outputs, module.kernel_size))  # type: ignore[arg-type]
    raise ValueError("no layer with a thousand outputs found, so no head to adapt")


def check_image_size(net: nn.Module, name: str, in_channels: int, image_size: int) -> None:
    """Run the shapes through the net, without arithmetic, since each architecture has its own smallest image."""
    shapes = copy.deepcopy(net).to("meta").eval()
    try:
        shapes(torch.empty(2, in_channels, image_size, image_size, device="meta"))
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"image size {image_size} does not fit {name}: {str(error).splitlines()[0]}") from error
