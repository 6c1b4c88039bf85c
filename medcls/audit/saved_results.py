"""Results of the audit on disk, beside the cache of images, for the next start to use."""

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcls.atomic import write_bytes
from medcls.errors import UserError

if TYPE_CHECKING:
    from medcls.audit.copies import Copies

log = logging.getLogger(__name__)

FINDINGS, PAGE = "audit.json", "audit.html"
VERSION = 8  # part of every key: to be raised with every change of a result or its wording


def key(*parts: Any) -> str:
    """Name of a result that depends on ``parts``, plain values, and on the version of this audit."""
    return hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()[:16]


def load_copies(path: Path, n_images: int) -> "Copies | None":
    """Copies found before; None if there are none saved, or the file is damaged."""
    from medcls.audit.copies import Copies  # and with it faiss and OpenCV, which a saved audit does not need

    try:
        with np.load(path, allow_pickle=False) as arrays:
            copies = Copies(**{name: arrays[name] for name in Copies.__dataclass_fields__})
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip file raises nearly anything
        log.warning("%s: damaged (%s); comparing the images again.", path, error)
        return None
    return copies if len(copies.picture) == n_images else None


def save_copies(path: Path, copies: "Copies") -> None:
    """Save the copies found; if the disk refuses, only a warning is logged."""
    content = io.BytesIO()
    np.savez_compressed(content, **vars(copies))
    save(path, content.getvalue())


def save(path: Path, content: bytes) -> bool:
    """Save a file of the cache; returns whether the disk took it, and warns if not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except (OSError, UserError) as error:
        log.warning("%s: cannot be written (%s); the next start will repeat the audit.", path, error)
        return False
    return True


def load_audit(folder: Path) -> tuple[dict[str, Any], str] | None:
    """Findings and page of an audit; None if they are missing, damaged or do not belong together."""
    try:
        content = {name: (folder / name).read_bytes() for name in (FINDINGS, PAGE)}
        if (folder / "checksum").read_text(encoding="utf-8") != checksum(content):
            raise ValueError("wrong checksum")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s: the saved audit is damaged (%s); auditing again.", folder, error)
        return None
    return json.loads(content[FINDINGS]), content[PAGE].decode()


def save_audit(folder: Path, findings: dict[str, Any], page: str) -> bool:
    """Save an audit; returns whether the disk took it."""
    content = {FINDINGS: json.dumps(findings).encode(), PAGE: page.encode()}
    files = content | {"checksum": checksum(content).encode()}
    return all(save(folder / name, part) for name, part in files.items())


def checksum(content: dict[str, bytes]) -> str:
    """Digest of files, in their order."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in content.values())).hexdigest()
