"""Paths that somebody else wrote: they may name files below the root, and nothing else."""

import os
from pathlib import Path


class ImagePaths:
    """Checks the paths of one list of images against its ``root``."""

    def __init__(self, root: Path, allow_outside: bool) -> None:
        self.root = root
        self.allow_outside = allow_outside
        self.real_root = os.path.realpath(root)
        self.seen: dict[str, str] = {}

    def check(self, path: str, place: str) -> str:
        """Name of the image at ``path``: relative to the root, with forward slashes.

        Raises ValueError that says what is wrong: outside of the root, no file there, or listed before.
        """
        if not path or "\0" in path:
            raise ValueError("no path")
        name = os.path.normpath(path)
        # Where the file really lies, since a link, or a folder that is one, may lead anywhere.
        real = os.path.realpath(self.root / name)
        inside = os.path.commonpath([self.real_root, real]) == self.real_root
        if inside and os.path.isabs(name):
            name = os.path.relpath(real, self.real_root)
        if not inside and not self.allow_outside:
            raise ValueError(f"{path} lies outside of data.root (allowed by data.allow_outside_root=true)")
        if not os.path.isfile(real):
            raise ValueError(f"{path}: no such file")
        if real in self.seen:
            raise ValueError(f"{path}: the same file as on {self.seen[real]}")
        self.seen[real] = place
        return Path(name).as_posix()
