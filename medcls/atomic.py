"""Files that are whole or absent: whoever reads one never meets a half-written state."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from medcls.errors import UserError


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Binary file that takes the name ``path`` when the block ends, synced to disk; on an error nothing is left.

    Raises UserError when the disk is full.
    """
    # The process in the name: two processes writing the same file do not write into each other's.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with telling_of_full_disk(path):
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def telling_of_full_disk(path: Path) -> Iterator[None]:
    """Raise UserError in place of what the system says when the disk is full; ``path``: what is written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{path}: no space left on the disk.\n  Nothing half-written was kept. Free some space and run the "
            "command again (to resume a training run: resume=<run folder>)."
        ) from error


def remove_partial(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder in which no other process is writing."""
    for path in folder.glob(".*.partial"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` whole or not at all. Raises UserError when the disk is full."""
    with writing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all. Raises UserError when the disk is full."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all. Raises UserError when the disk is full."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """``value`` as indented JSON; null for NaN, which JSON does not have and other readers refuse."""
    plain = json.loads(json.dumps(value), parse_constant=lambda name: None if name == "NaN" else float(name))
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()
