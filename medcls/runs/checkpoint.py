"""Checkpoints, read as files that anybody may have made."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from medcls.errors import UserError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU; only tensors and plain values are unpickled, so no code can run.

    Raises UserError when the file is not a checkpoint of medcls.
    """
    try:
        with zipfile.ZipFile(path) as records:  # torch does not check their checksums
            if spoilt := records.testzip():
                raise ValueError(f"wrong checksum of {spoilt}")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if "state_dict" not in content or "classes" not in content["hyper_parameters"]:
            raise ValueError("weights or hyper-parameters are missing")
    # Bytes that are not a checkpoint lead torch's unpickler to nearly any exception: IndexError, AttributeError, ...
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: not a checkpoint of medcls ({reason}).\n  Expected checkpoints/best.ckpt or last.ckpt of a run."
        ) from error
    return content
