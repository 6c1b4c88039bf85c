"""The exchangeable parts of a run: nets, losses, optimizers and schedules, one registry each.

A part is a section of the schema that knows what builds it (a dotted path, so that nothing heavy is imported before the
configuration is right) and with which arguments. The choices that messages and tests list follow from the registries.
A new built-in part needs a section in the file of its kind, a place in the registry below it, and a file in conf/.
A user's own part needs none of these: it is the choice ``own``.
"""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, ValidationError

from medcls.config.parts.losses import LOSSES, Loss, OwnLoss
from medcls.config.parts.nets import NETS, Net, OwnNet, ScratchNet, TorchvisionNet
from medcls.config.parts.optimizers import OPTIMIZERS, Optimizer, OwnOptimizer
from medcls.config.parts.schedules import SCHEDULES, Constant, OwnSchedule, Schedule
from medcls.config.section import Section
from medcls.errors import UserError

__all__ = [
    "LOGGERS",
    "PARTS",
    "Constant",
    "LossConfig",
    "NetConfig",
    "OptimizerConfig",
    "OwnLoss",
    "OwnNet",
    "OwnOptimizer",
    "OwnSchedule",
    "ScheduleConfig",
    "ScratchNet",
    "TorchvisionNet",
    "choices",
    "read_part",
]

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


if TYPE_CHECKING:  # what mypy can follow; the unions themselves are built from the registries
    NetConfig = Net | OwnNet
    LossConfig = Loss | OwnLoss
    OptimizerConfig = Optimizer | OwnOptimizer
    ScheduleConfig = Schedule | OwnSchedule
else:
    NetConfig = Annotated[reduce(or_, NETS), Discriminator("family")]
    LossConfig = Annotated[reduce(or_, LOSSES), Discriminator("name")]
    OptimizerConfig = Annotated[reduce(or_, OPTIMIZERS), Discriminator("name")]
    ScheduleConfig = Annotated[reduce(or_, SCHEDULES), Discriminator("name")]
