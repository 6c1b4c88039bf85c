"""The exchangeable parts of a run: nets, losses, optimisers and schedules, one registry each.

A part is a section of the schema that knows what builds it (a dotted path, so that nothing heavy is imported before the
configuration is right) and with which arguments. The choices that messages and tests list follow from the registries.
To add a part of the house: its section here, a file in conf/. A user's own needs neither: it is the choice ``own``.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, ValidationError

from medcls.config.section import Above0, AtLeast0, AtLeast1, Count, Flag, Fraction, Rate, Section
from medcls.config.targets import DottedPath
from medcls.errors import UserError


class Part(Section):
    """A part; ``target``: dotted path of the class or function that builds it."""

    target: ClassVar[str]

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for the target that the configuration decides: all its keys but the one that names it."""
        return self.model_dump(exclude={"family", "name"})


class OwnPart(Section):
    """A part from any library or file of the user's."""

    target: DottedPath = Field(alias="_target_")
    args: dict[str, Any]

    @property
    def title(self) -> str:
        """Last part of the dotted path."""
        return self.target.rpartition(".")[2]

    def arguments(self) -> dict[str, Any]:
        """The user's arguments."""
        return dict(self.args)


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
    """A classification net of torchvision by name."""

    target = "medcls.models.torchvision.build_torchvision"
    family: Literal["torchvision"]
    name: str
    weights: str | None

    @property
    def title(self) -> str:
        return self.name

    def arguments(self) -> dict[str, Any]:
        return {"name": self.name, "weights": self.weights}


class OwnNet(OwnPart):
    """A user's own net: a module, or a function that returns one."""

    family: Literal["own"]


class Loss(Part):
    """What training minimises, and what the net's outputs mean.

    outputs: "default": one logit for two classes, softmax over one a class for more; "one_vs_rest": independent
    probabilities, one a class (of two classes the default).
    """

    name: str
    class_weights: Literal["balanced"] | list[Above0] | None
    outputs: ClassVar[str] = "default"


class DefaultLoss(Loss):
    """Binary cross-entropy on one logit for two classes, cross-entropy for more."""

    target = "medcls.training.losses.loss_function"
    name: Literal["default"]


class OneVsRestLoss(Loss):
    """Binary cross-entropy over one independent output per class."""

    target = "medcls.training.losses.loss_function"
    name: Literal["one_vs_rest"]
    outputs = "one_vs_rest"


class OwnLoss(OwnPart):
    """A user's own loss: called with logits (N, n_outputs) and labels (N,), returns the mean over images.

    A class is built once with ``args``; a function gets them at every call. ``class_weights`` (C,) are passed as an
    argument of that name where they are configured.
    """

    name: Literal["own"]
    class_weights: Literal["balanced"] | list[Above0] | None
    outputs: Literal["default", "one_vs_rest"]


class Optimizer(Part):
    """An optimiser; built with the parameters and ``lr``. fused: PyTorch has one pass over all weights for it."""

    name: str
    fused: ClassVar[bool] = True


class Adam(Optimizer):
    """Adam."""

    target = "torch.optim.Adam"
    name: Literal["adam"]
    betas: tuple[Rate, Rate]
    eps: Above0
    weight_decay: AtLeast0


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    target = "torch.optim.AdamW"
    name: Literal["adamw"]
    betas: tuple[Rate, Rate]
    eps: Above0
    weight_decay: AtLeast0


class SGD(Optimizer):
    """Stochastic gradient descent."""

    target = "torch.optim.SGD"
    name: Literal["sgd"]
    momentum: Rate
    nesterov: Flag
    weight_decay: AtLeast0


class OwnOptimizer(OwnPart):
    """Any optimiser with PyTorch's interface: called with the parameters, ``lr`` and ``args``."""

    name: Literal["own"]
    fused: ClassVar[bool] = False


class Schedule(Part):
    """A schedule of the learning rate; built with the optimiser.

    interval: after what it is stepped; fixed_length: its rates follow from the number of epochs, which then cannot
    change when a run is resumed.
    """

    name: str
    interval: ClassVar[Literal["epoch", "batch"]] = "epoch"
    fixed_length: ClassVar[bool] = False


class Constant(Schedule):
    """No schedule."""

    target = ""
    name: Literal["none"]


class Cosine(Schedule):
    """Half a cosine over all epochs."""

    target = "medcls.training.schedule.cosine"
    name: Literal["cosine"]
    min_lr: AtLeast0
    fixed_length = True


class Plateau(Schedule):
    """Lower rate when the validation loss stops falling."""

    target = "torch.optim.lr_scheduler.ReduceLROnPlateau"
    name: Literal["plateau"]
    factor: Fraction
    patience: Count


class OwnSchedule(OwnPart):
    """Any schedule with PyTorch's interface: called with the optimiser and ``args``.

    One that takes ``total_steps`` gets the number of its steps unless ``args`` say how many.
    """

    name: Literal["own"]
    interval: Literal["epoch", "batch"]
    fixed_length: ClassVar[bool] = True  # for all that is known


NETS = (LeNet, AlexNet, VGG16, TorchvisionNet, OwnNet)
LOSSES = (DefaultLoss, OneVsRestLoss, OwnLoss)
OPTIMIZERS = (Adam, AdamW, SGD, OwnOptimizer)
SCHEDULES = (Constant, Cosine, Plateau, OwnSchedule)

# Loggers of Lightning by a short name; any other by its dotted path.
LOGGERS = {
    "csv": "pytorch_lightning.loggers.CSVLogger",
    "mlflow": "pytorch_lightning.loggers.MLFlowLogger",
    "wandb": "pytorch_lightning.loggers.WandbLogger",
}

# Group of the configuration -> the key that names its choice, and the choices.
PARTS: dict[str, tuple[str, tuple[type[Section], ...]]] = {
    "model": ("family", NETS),
    "loss": ("name", LOSSES),
    "optimizer": ("name", OPTIMIZERS),
    "scheduler": ("name", SCHEDULES),
}


def choices(group: str) -> dict[str, type[Section]]:
    """Name -> section of every choice of a group of ``PARTS``."""
    by, sections = PARTS[group]
    return {str(section.model_fields[by].annotation.__args__[0]): section for section in sections}  # type: ignore[union-attr]


def read_part(group: str, values: Mapping[str, Any]) -> Any:
    """The part that plain ``values`` of a checkpoint describe. Raises UserError where they describe none."""
    known, by = choices(group), PARTS[group][0]
    try:
        return known[values[by]].model_validate(values)
    except (KeyError, ValidationError) as error:
        raise UserError(f"{group}: {dict(values)} does not describe one of {', '.join(known)}.") from error


if TYPE_CHECKING:  # what mypy can follow; the unions themselves are made of the registries
    NetConfig = Net | OwnNet
    LossConfig = Loss | OwnLoss
    OptimizerConfig = Optimizer | OwnOptimizer
    ScheduleConfig = Schedule | OwnSchedule
else:
    NetConfig = Annotated[reduce(or_, NETS), Discriminator("family")]
    LossConfig = Annotated[reduce(or_, LOSSES), Discriminator("name")]
    OptimizerConfig = Annotated[reduce(or_, OPTIMIZERS), Discriminator("name")]
    ScheduleConfig = Annotated[reduce(or_, SCHEDULES), Discriminator("name")]
