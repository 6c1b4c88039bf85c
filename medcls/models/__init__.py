"""The networks: images in, logits out. They know nothing of files, classes or training."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from medcls.errors import UserError
from medcls.models.alexnet import AlexNet
from medcls.models.lenet import LeNet
from medcls.models.network import Network
from medcls.models.vgg16 import VGG16

NETWORKS: dict[str, type[Network]] = {"lenet": LeNet, "alexnet": AlexNet, "vgg16": VGG16}


def build_network(
    family: str, options: Mapping[str, Any], *, n_outputs: int, in_channels: int, image_size: int
) -> nn.Module:
    """Net of a ``family`` (a key of ``NETWORKS``, or "torchvision") with that family's ``options``.

    The net maps ``(N, in_channels, image_size, image_size)`` in [0, 1] to ``(N, n_outputs)`` logits.
    Raises UserError when the image is too small for the net or the name is unknown.
    """
    try:
        return build_family(family, options, n_outputs, in_channels, image_size)
    except ValueError as error:
        name = options.get("name", family)
        raise UserError(f"model={family} cannot be built as {name} at image_size={image_size}: {error}.") from error


def build_family(
    family: str, options: Mapping[str, Any], n_outputs: int, in_channels: int, image_size: int
) -> nn.Module:
    """Net of a family of ours or of torchvision's. Raises ValueError when it cannot be built."""
    if family == "torchvision":
        # Imported here: torchvision takes a second to import, which only these nets should cost.
        from medcls.models.torchvision import build_torchvision

        return build_torchvision(**options, n_outputs=n_outputs, in_channels=in_channels, image_size=image_size)
    if family not in NETWORKS:
        raise ValueError(f"there is no such family; known: {', '.join(NETWORKS)}, torchvision")
    return NETWORKS[family](n_outputs, in_channels, image_size, **options)


def check_network(model: Mapping[str, Any], *, in_channels: int, image_size: int) -> None:
    """Raise UserError when a configured net cannot be built for such images, before any are read."""
    options = {key: value for key, value in model.items() if key != "family"}
    if model["family"] == "torchvision":
        options["weights"] = None  # nothing to download for a look at the shapes
    build_network(model["family"], options, n_outputs=1, in_channels=in_channels, image_size=image_size)
