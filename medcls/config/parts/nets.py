"""The nets: images in, logits out."""

from pathlib import Path
from typing import Any, Literal

from medcls.config.parts.part import OwnPart, Part
from medcls.config.section import AtLeast1, Flag, Rate


class Net(Part):
    """A net of ``family``; built with ``n_outputs``, ``in_channels`` and ``image_size`` besides."""

    family: str

    @property
    def title(self) -> str:
        """What reports call the net."""
        return self.family


class ScratchNet(Net):
    """Options of every net from scratch; see ``medcls.models.network.Network``."""

    n_base: AtLeast1
    dense: list[AtLeast1] | None
    dropout: Rate
    batch_norm: Flag
    spatial_dropout: Rate
    init: Literal["glorot", "pytorch"]


class LeNet(ScratchNet):
    """Two convolutions."""

    target = "medcls.models.lenet.LeNet"
    family: Literal["lenet"]


class AlexNet(ScratchNet):
    """Five convolutions."""

    target = "medcls.models.alexnet.AlexNet"
    family: Literal["alexnet"]


class VGG16(ScratchNet):
    """Thirteen convolutions."""

    target = "medcls.models.vgg16.VGG16"
    family: Literal["vgg16"]


class TorchvisionNet(Net):
    """A classification net of torchvision by name; ``weights``: null, a name of torchvision's, or a file."""

    target = "medcls.models.torchvision.build_torchvision"
    family: Literal["torchvision"]
    name: str
    weights: str | None

    @property
    def title(self) -> str:
        return self.name

    @property
    def file(self) -> Path | None:
        """Where ``weights`` lie, if they are named by a path."""
        return Path(self.weights).expanduser() if self.weights and self.weights.endswith((".pth", ".pt")) else None

    def arguments(self) -> dict[str, Any]:
        return {"name": self.name, "weights": self.file or self.weights}


class FrozenNet(TorchvisionNet):
    """A net of torchvision of which only the head is trained."""

    target = "medcls.models.torchvision.build_frozen"
    family: Literal["frozen"]  # type: ignore[assignment]

    @property
    def title(self) -> str:
        return f"frozen {self.name}"


class OwnNet(OwnPart):
    """A user's own net: a module, or a function that returns one."""

    family: Literal["own"]


NETS = (LeNet, AlexNet, VGG16, TorchvisionNet, FrozenNet, OwnNet)
