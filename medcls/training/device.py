"""Where and how precisely to compute: whether this machine has what a configuration asks for, and PyTorch set to it.

Nothing is silently replaced by something else.
"""

from typing import Final

import torch

from medcls.config.schema import TrainerConfig
from medcls.errors import UserError

TF32: Final = "tf32"


def check_device(trainer: TrainerConfig) -> None:
    """Raise UserError for an accelerator that is not available, or a precision that it lacks.

    bf16-mixed runs on every CPU, emulated if need be; 16-mixed on none: Lightning would use bf16 instead.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    wanted, precision = trainer.accelerator, trainer.precision
    if (wanted == "gpu" and not (cuda or mps)) or (wanted == "mps" and not mps):
        raise UserError(
            f"trainer.accelerator: found {wanted!r}, but PyTorch finds none on this machine. Expected cpu, or auto for "
            "what is available."
        )
    on_mps = wanted == "mps" or (wanted in ("auto", "gpu") and mps and not cuda)
    on_cuda = cuda and wanted != "cpu" and not on_mps
    if precision == "16-mixed" and not on_mps and not on_cuda:
        raise UserError(
            "trainer.precision: found '16-mixed', which no CPU supports, and there is no GPU to use. Expected 32-true, "
            "bf16-mixed or 64-true."
        )
    if precision == TF32 and not (on_cuda and torch.cuda.get_device_capability() >= (8, 0)):
        raise UserError(
            "trainer.precision: found 'tf32', which only NVIDIA GPUs since Ampere support, and there is none to use. "
            "Expected 32-true."
        )
    if precision == "64-true" and on_mps:
        raise UserError("trainer.precision: found '64-true', which mps does not support. Expected 32-true, or a CPU.")


def use_device(trainer: TrainerConfig) -> None:
    """Set PyTorch to compute with nets that are trained: in full single precision, with the threads that are asked for.

    Raises UserError for an accelerator that is not available.
    """
    check_device(trainer)
    allow_tf32(False)
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)


def allow_tf32(allowed: bool) -> None:
    """Let GPUs round factors to TF32, 10 bits of 23, or not; by default PyTorch lets them in convolutions."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
