"""The schedules: how the learning rate changes."""

from typing import ClassVar, Literal

from medcls.config.parts.part import OwnPart, Part
from medcls.config.section import AtLeast0, Count, Fraction


class Schedule(Part):
    """A schedule of the learning rate; built with the optimizer.

    interval: after what it takes a step; fixed_length: its rates follow from the number of epochs, which then cannot
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
    """Any schedule with PyTorch's interface: called with the optimizer and ``args``.

    One that takes ``total_steps`` gets the number of its steps unless it is in ``args``.
    """

    name: Literal["own"]
    interval: Literal["epoch", "batch"]
    fixed_length: ClassVar[bool] = True  # assumed, since nothing is known of it


SCHEDULES = (Constant, Cosine, Plateau, OwnSchedule)
