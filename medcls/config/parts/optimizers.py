"""The optimizers: how a gradient changes the weights."""

from typing import ClassVar, Literal

from pydantic import ValidationInfo, field_validator

from medcls.config.parts.part import OwnPart, Part
from medcls.config.section import Above0, AtLeast0, Flag, Rate


class Optimizer(Part):
    """An optimizer; built with the parameters and ``lr``. fused: PyTorch can update all weights in one pass."""

    name: str
    fused: ClassVar[bool] = True


class AdamOptions(Optimizer):
    """What Adam and its variants share."""

    betas: tuple[Rate, Rate]
    eps: Above0
    weight_decay: AtLeast0


class Adam(AdamOptions):
    """Adam."""

    target = "torch.optim.Adam"
    name: Literal["adam"]


class AdamW(AdamOptions):
    """Adam with decoupled weight decay."""

    target = "torch.optim.AdamW"
    name: Literal["adamw"]


class SGD(Optimizer):
    """Stochastic gradient descent."""

    target = "torch.optim.SGD"
    name: Literal["sgd"]
    momentum: Rate
    nesterov: Flag
    weight_decay: AtLeast0

    @field_validator("nesterov")
    @classmethod
    def with_momentum(cls, nesterov: bool, others: ValidationInfo) -> bool:
        if nesterov and others.data.get("momentum") == 0:
            raise ValueError("false with optimizer.momentum=0, since Nesterov's method needs momentum")
        return nesterov


class OwnOptimizer(OwnPart):
    """Any optimizer with PyTorch's interface: called with the parameters, ``lr`` and ``args``."""

    name: Literal["own"]
    fused: ClassVar[bool] = False


OPTIMIZERS = (Adam, AdamW, SGD, OwnOptimizer)
