"""Whether this machine has what a configuration asks to compute on; nothing is replaced by something else."""

import torch

from medcls.config.schema import TrainerConfig
from medcls.errors import UserError


def check_device(trainer: TrainerConfig) -> None:
    """Raise UserError for an accelerator that is not here, or a precision that it lacks.

    bf16-mixed runs on every CPU, emulated where need be; 16-mixed on none: Lightning would take bf16 in its place.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    wanted, precision = trainer.accelerator, trainer.precision
    if (wanted == "gpu" and not (cuda or mps)) or (wanted == "mps" and not mps):
        raise UserError(
            f"trainer.accelerator: found {wanted!r}, but PyTorch finds none on this machine. Expected cpu, or auto for "
            "what there is."
        )
    on_mps = wanted == "mps" or (wanted in ("auto", "gpu") and mps and not cuda)
    if precision == "16-mixed" and not on_mps and (wanted == "cpu" or not cuda):
        raise UserError(
            "trainer.precision: found '16-mixed', which no CPU computes in, and there is no GPU to use. Expected "
            "32-true, bf16-mixed or 64-true."
        )
    if precision == "64-true" and on_mps:
        raise UserError("trainer.precision: found '64-true', which mps does not have. Expected 32-true, or a CPU.")
