"""Checkpoints: written whole or not at all, read as files that anybody may have made."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from medcls.atomic import write_bytes
from medcls.classifier import Classifier
from medcls.errors import UserError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's way to the disk, by way of a file that takes its name only when complete and synced."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())

    def load_checkpoint(
        self, path: Any, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU; only tensors and plain values are unpickled, so no code can run.

    Raises UserError when the file is no checkpoint of medcls.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if "state_dict" not in content or "classes" not in content["hyper_parameters"]:
            raise ValueError("it lacks weights or hyper-parameters")
    # Bytes that are no checkpoint lead torch's unpickler to nearly any exception: IndexError, AttributeError, ...
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: not a checkpoint of medcls ({reason}).\n  Expected checkpoints/best.ckpt or last.ckpt of a run."
        ) from error
    return content


def load_classifier(path: Path) -> Classifier:
    """Classifier rebuilt from a checkpoint alone, in evaluation mode on the CPU.

    Its ``hparams`` hold class names and preprocessing. Raises UserError when the file is no checkpoint of medcls.
    """
    content = read_checkpoint(path)
    classifier = Classifier(**content["hyper_parameters"])
    classifier.load_state_dict(content["state_dict"])
    return classifier.eval()
