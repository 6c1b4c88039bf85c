"""How the learning rate changes from epoch to epoch, or from step to step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from medcls.config.parts import Constant, ScheduleConfig
from medcls.config.targets import accepts, call, locate
from medcls.errors import UserError


def build_schedule(schedule: ScheduleConfig, optimizer: Optimizer, total_steps: int) -> LRScheduler | None:
    """Schedule of the ``scheduler`` section of the configuration; None for a constant rate.

    total_steps: how many steps it will take, for those that have an argument of that name.
    Raises UserError when a user's own one cannot be built or is not a schedule.
    """
    if isinstance(schedule, Constant):
        return None
    built = call(schedule.target, schedule.arguments(), "scheduler", optimizer, **length(schedule, total_steps))
    if not isinstance(built, LRScheduler):
        raise UserError(f"scheduler: {schedule.target} returned {type(built).__name__}, expected a schedule.")
    if isinstance(built, ReduceLROnPlateau) and schedule.interval == "batch":
        raise UserError("scheduler.interval: found batch, expected epoch: this schedule follows the validation loss.")
    return built


def length(schedule: ScheduleConfig, total_steps: int) -> dict[str, int]:
    """The argument ``total_steps`` for a schedule that takes it, unless the user says how long it is."""
    # PyTorch's OneCycleLR would let total_steps win over the user's own epochs * steps_per_epoch.
    known = schedule.arguments().keys() & {"total_steps", "epochs", "steps_per_epoch"}
    wanted = accepts(locate(schedule.target, "scheduler"), "total_steps") and not known
    return {"total_steps": total_steps} if wanted else {}


def cosine(optimizer: Optimizer, *, total_steps: int, min_lr: float) -> CosineAnnealingLR:
    """Half a cosine from the optimizer's rate to ``min_lr`` (Loshchilov & Hutter, 2017)."""
    return CosineAnnealingLR(optimizer, T_max=total_steps, eta_min=min_lr)


def step_schedule(schedule: LRScheduler | None, val_loss: float | None = None) -> None:
    """Set the rate of the next epoch, or of the next step. Raises UserError where the schedule is at its end."""
    if schedule is None:
        return
    try:
        if isinstance(schedule, ReduceLROnPlateau) and val_loss is not None:
            schedule.step(val_loss)
        else:
            schedule.step()
    except Exception as error:
        raise UserError(
            f"scheduler: {type(schedule).__name__} failed: {type(error).__name__}: {error}\n"
            "  Leave out its length (total_steps, or epochs and steps_per_epoch), or set it to all steps of the run."
        ) from error
