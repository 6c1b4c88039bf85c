"""The networks: images in, logits out. They know nothing of image files, classes or training."""

from typing import Any

import psutil
import torch
from torch import Tensor, nn

from medcls.config.parts import NetConfig, OwnNet
from medcls.config.targets import call
from medcls.errors import UserError
from medcls.models.pretrained import to_be_restored

COPIES = 4  # of the weights at least, in training: themselves, their gradients, and two moments of Adam


def build_network(net: NetConfig, *, n_outputs: int, in_channels: int, image_size: int) -> nn.Module:
    """The net of the ``model`` section of a configuration.

    It maps ``(N, in_channels, image_size, image_size)`` in [0, 1] to ``(N, n_outputs)`` logits.
    Raises UserError when the image is too small for the net, or a user's own net cannot be built or is not a module.
    """
    shape: dict[str, Any] = {"n_outputs": n_outputs, "in_channels": in_channels, "image_size": image_size}
    if isinstance(net, OwnNet):
        return _own(net, **shape)
    try:
        built: nn.Module = call(net.target, net.arguments(), "model", **shape)
    except UserError as error:
        if not isinstance(error.__cause__, ValueError):
            raise
        raise UserError(
            f"model={net.family} cannot be built as {net.title} at image_size={image_size}: {error.__cause__}."
        ) from error
    return built


def check_network(net: NetConfig, *, in_channels: int, image_size: int) -> None:
    """Raise UserError when a configured net cannot be built for such images, before any are read."""
    shape: dict[str, Any] = {"n_outputs": 2, "in_channels": in_channels, "image_size": image_size}
    if isinstance(net, OwnNet):
        _check_shapes(build_network(net, **shape), net, in_channels, image_size)
        return
    with torch.device("meta"), to_be_restored():  # shapes without memory, and nothing to download
        built = build_network(net, **shape)
    needed = COPIES * sum(parameter.numel() * parameter.element_size() for parameter in built.parameters())
    if needed > (there := psutil.virtual_memory().total):
        raise UserError(
            f"model: {net.title} needs {needed / 2**30:,.0f} GiB for its weights in training at "
            f"image_size={image_size}; this machine has {there / 2**30:,.0f} GiB.\n  Choose a smaller net "
            "(model.n_base) or smaller images."
        )


def _own(net: OwnNet, **shape: Any) -> nn.Module:
    with torch.device("cpu"):  # even where only shapes are wanted: a user's net may need real numbers
        built = call(net.target, net.arguments(), "model", **shape)
    if not isinstance(built, nn.Module):
        raise UserError(f"model: {net.target} returned {type(built).__name__}, expected a torch.nn.Module.")
    return built


def _check_shapes(built: nn.Module, net: OwnNet, in_channels: int, image_size: int) -> None:
    """Run two images through a user's net: the shape of its output is known only then."""
    images = torch.zeros(2, in_channels, image_size, image_size, device="cpu")
    try:
        with torch.no_grad():
            logits = built.eval()(images)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"model: {net.target} cannot take images (2, {in_channels}, {image_size}, {image_size}): "
            f"{str(error).splitlines()[0]}"
        ) from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != (2, 2):
        raise UserError(f"model: {net.target} maps 2 images to {found}, expected logits (2, n_outputs) = (2, 2).")
