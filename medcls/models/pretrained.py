"""Pretrained weights from a file, and nets that need none because a checkpoint's weights follow."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn

_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads that train GoogLeNet and Inception, left out here

filled = ContextVar("filled", default=True)  # whether nets that are built now get their pretrained weights


@contextmanager
def to_be_restored() -> Iterator[None]:
    """Nets that are built in the block get no pretrained weights: those of a checkpoint take their place."""
    token = filled.set(False)
    try:
        yield
    finally:
        filled.reset(token)


def fill(net: nn.Module, path: Path, head: str) -> None:
    """Take all weights of ``net`` but those of its ``head`` from a file of a ``state_dict``.

    Raises ValueError for a file that is missing, not a ``state_dict``, or holds the weights of another net.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        left_out = (f"{head}.", *_AUXILIARY)
        found = {name: value for name, value in found.items() if not name.startswith(left_out)}
        kept = {name: value for name, value in net.state_dict().items() if name.startswith(head) or not value.shape}
        net.load_state_dict(kept | found)
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be read as the weights of such a net ({why})") from error
