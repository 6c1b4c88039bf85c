"""Any classification net of torchvision by name: the baseline that practitioners compare with."""

import copy
from difflib import get_close_matches
from pathlib import Path
from statistics import fmean

import torch
import torchvision
from torch import Tensor, nn
from typing_extensions import Self

from medcls.models.pretrained import fill, filled

IMAGENET_CLASSES = 1000


class Normalized(nn.Module):
    """A net behind the normalization that its pretrained weights expect; input in [0, 1].

    ``frozen``: the net stays in evaluation mode, without dropout and with its batch norms unchanged, also while its
    head is trained.
    """

    def __init__(self, net: nn.Module, mean: list[float], std: list[float], *, frozen: bool = False) -> None:
        super().__init__()
        self.net, self.frozen = net, frozen
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.train()  # Lightning restores the mode that it finds each layer in

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net((images - self.mean) / self.std)
        return logits

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.frozen)


def build_torchvision(
    name: str, weights: str | Path | None, *, n_outputs: int, in_channels: int, image_size: int, frozen: bool = False
) -> nn.Module:
    """Net ``name`` with its first convolution and its head adapted to the data.

    ``weights``: None, a name such as "DEFAULT" (downloaded at first use), or a file of them. Pretrained nets normalize
    their input by the constants of their weights, with weights of a file by those of the default ones; on gray images
    by the mean of the constants, and the first kernels are summed over colors. ``frozen``: only the head is trained.
    Raises ValueError for an unknown name or weights that cannot be loaded, or when the image is too small for the net.
    """
    net = load(name, weights, image_size)
    adapt_first_convolution(net, in_channels, pretrained=weights is not None)
    net.requires_grad_(not frozen)  # but for the head, which is new
    adapt_head(net, n_outputs)
    if weights is not None:
        known = torchvision.models.get_model_weights(name)
        constants = known["DEFAULT" if isinstance(weights, Path) else weights].transforms()
        mean, std = constants.mean, constants.std
        if in_channels == 1:
            mean, std = [fmean(mean)], [fmean(std)]
        net = Normalized(net, mean, std, frozen=frozen)
    check_image_size(net, name, in_channels, image_size)
    return net


def build_frozen(name: str, weights: str | Path | None, **shape: int) -> nn.Module:
    """The same, of which only the head is trained. Raises ValueError also without weights."""
    if weights is None:
        raise ValueError("a frozen net needs pretrained weights, found model.weights=null")
    return build_torchvision(name, weights, frozen=True, **shape)


def load(name: str, weights: str | Path | None, image_size: int) -> nn.Module:
    """Net ``name`` as torchvision builds it, without auxiliary heads."""
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        nearest = get_close_matches(name, names, n=1)
        raise ValueError(
            f"torchvision has no net {name}.{f' Did you mean model.name={nearest[0]}?' if nearest else ''}"
        )
    known = torchvision.models.get_model_weights(name).__members__
    if isinstance(weights, str) and weights not in known:
        raise ValueError(
            f"torchvision has no weights {weights} of {name}; expected {', '.join(known) or 'null'} or a .pth file"
        )
    named = weights if isinstance(weights, str) and filled.get() else None
    options: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False} | ({} if named else {"init_weights": True})
    if name.startswith("vit_"):
        options["image_size"] = image_size
    try:
        net: nn.Module = torchvision.models.get_model(name, weights=named, **options)
    except OSError as error:  # URLError among them
        raise ValueError(f"the weights {weights} of {name} cannot be downloaded ({error}); name a file") from error
    if isinstance(weights, Path) and filled.get():
        fill(net, weights, head_of(net))
    if hasattr(net, "transform_input"):
        # Inception's own change of normalization reads three channels; Normalized takes its place.
        net.transform_input = False  # type: ignore[assignment]
    return net


def adapt_first_convolution(net: nn.Module, in_channels: int, *, pretrained: bool) -> None:
    """Make the first convolution read ``in_channels``; pretrained kernels are summed over colors for gray images."""
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    if first.in_channels == in_channels:
        return
    with torch.no_grad():
        kernels = first.weight.sum(dim=1, keepdim=True) if pretrained else first.weight[:, :in_channels].clone()
    first.in_channels = in_channels
    first.weight = nn.Parameter(kernels)


def adapt_head(net: nn.Module, n_outputs: int) -> None:
    """Replace the layer that gives ImageNet's thousand logits by one that gives ``n_outputs``."""
    name = head_of(net)
    head = net.get_submodule(name)
    if isinstance(head, nn.Linear):
        net.set_submodule(name, nn.Linear(head.in_features, n_outputs))
    elif isinstance(head, nn.Conv2d):
        net.set_submodule(name, nn.Conv2d(head.in_channels, n_outputs, head.kernel_size))  # type: ignore[arg-type]


def head_of(net: nn.Module) -> str:
    """Name of the layer that gives ImageNet's thousand logits."""
    for name, module in reversed(list(net.named_modules())):
        if IMAGENET_CLASSES in (getattr(module, "out_features", None), getattr(module, "out_channels", None)):
            return str(name)
    raise ValueError("no layer with a thousand outputs found, so no head to adapt")


def check_image_size(net: nn.Module, name: str, in_channels: int, image_size: int) -> None:
    """Run the shapes through the net, without arithmetic, since each architecture has its own smallest image."""
    shapes = copy.deepcopy(net).to("meta").eval()
    try:
        shapes(torch.empty(2, in_channels, image_size, image_size, device="meta"))
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"image size {image_size} does not fit {name}: {str(error).splitlines()[0]}") from error
