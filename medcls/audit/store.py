"""Results of the audit on disk, beside the cache of images, so that the next start finds them."""

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.atomic import write_bytes
from medcls.audit.copies import Copies
from medcls.errors import UserError

log = logging.getLogger(__name__)

# Whatever can change a result; part of every key.
VERSION = 1


def key(*parts: Any) -> str:
    """Name of a result that depends on ``parts``, plain values, and on the version of this audit."""
    return hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()[:16]


def images_key(images: NDArray[np.uint8], digests: Sequence[str]) -> str:
    """What identifies the images and their files, in their order; not their names, labels or splits."""
    digest = hashlib.sha256("\n".join(digests).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def load_copies(path: Path, n_images: int) -> Copies | None:
    """Copies found before; None where there are none, or where they are damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            copies = Copies(**{name: arrays[name] for name in Copies.__dataclass_fields__})
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip file raises nearly anything
        log.warning("%s: damaged (%s); comparing the images anew.", path, error)
        return None
    return copies if len(copies.picture) == n_images else None


def save_copies(path: Path, copies: Copies) -> None:
    """Keep what was found, where the disk takes it."""
    content = io.BytesIO()
    np.savez_compressed(content, **{name: getattr(copies, name) for name in Copies.__dataclass_fields__})
    save(path, content.getvalue())


def save(path: Path, content: bytes) -> bool:
    """Keep a file of the cache, where the disk takes it; whether it did."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except (OSError, UserError) as error:
        log.warning("%s: cannot be written (%s); the audit will be made anew at the next start.", path, error)
        return False
    return True


def load_json(path: Path) -> dict[str, Any] | None:
    """Content of a JSON file of the cache; None where it is absent or damaged."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict):
            return value
    return None
