"""A file of one kind of pixel, and what is right for it."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SIDE = 24
_RNG = np.random.default_rng(7)
_WAVES = np.add.outer(np.sin(np.arange(SIDE) / 3), np.cos(np.arange(SIDE) / 5)) / 4 + 0.5
_NOISY = (_WAVES[..., None] * [0.9, 0.7, 0.8, 0.6] + _RNG.uniform(0, 0.1, (SIDE, SIDE, 4))).clip(0, 1)


@dataclass(frozen=True)
class Cell:
    """A file and what is right for it.

    readers: of other libraries, content -> samples; refused: a part of the reason where it is not to be read;
    within: how far samples may be from a reader's; inverted: small values are bright; window: data.window;
    shown: samples as floats -> gray levels 0..255 by the rule of docs/pixels.md, None for the one of the kind.
    """

    name: str
    content: bytes
    readers: tuple[Callable[[bytes], Any], ...] = ()
    refused: str = ""
    within: float = 0
    inverted: bool = False
    window: Any = "file"
    shown: Callable[[Any], Any] | None = None
    samples: Any = field(default=None, repr=False)  # as written, where no other library reads the file


def ramp(dtype, channels=1, bits=None):
    """Samples of a kind that use nearly its whole range."""
    kind = np.dtype(dtype)
    waves = _NOISY[..., :channels] if channels > 1 else _NOISY[..., 0]
    if kind.kind == "f":
        return (waves * 3 - 1).astype(kind)
    bits = bits or 8 * kind.itemsize
    low = -(2 ** (bits - 1)) if kind.kind == "i" else 0
    return np.rint(waves.astype(np.longdouble) * (2**bits - 1) + low).astype(kind)


def pillow(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def cmyk_as_rgb(samples):
    return (255 - samples[..., :3].astype(float)) * (255 - samples[..., 3:].astype(float)) / 255
