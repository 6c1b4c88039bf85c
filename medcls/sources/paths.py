"""Paths that somebody else wrote: they may name files below the root, and nothing else."""

import os
import re
import stat
import unicodedata
from pathlib import Path

from medcls.formats.kinds import ENDINGS


class ImagePaths:
    """Checks the paths of one list of images against its ``root``."""

    def __init__(self, root: Path, allow_outside: bool) -> None:
        self.root = root
        self.allow_outside = allow_outside
        self.real_root = os.path.realpath(root)
        self.seen: dict[str, str] = {}

    def check(self, path: str, place: str) -> str:
        """Name of the image at ``path``: relative to the root, with forward slashes.

        Raises ValueError that says what is wrong: outside of the root, no file there, out of reach, or listed before.
        """
        if not path or "\0" in path:
            raise ValueError("no path")
        name = os.path.normpath(self._as_written_here(path))
        # Where the file really lies, since a link, or a folder that is one, may lead anywhere.
        real = os.path.realpath(self.root / name)
        inside = os.path.commonpath([self.real_root, real]) == self.real_root
        if inside and os.path.isabs(name):
            name = os.path.relpath(real, self.real_root)
        if not inside and not self.allow_outside:
            raise ValueError(f"{path} lies outside of data.root (allowed by data.allow_outside_root=true)")
        if not _is_file(real, path):
            hint = "; paths are relative to data.root" if re.match(r"[A-Za-z]:[\\/]", path) else ""
            raise ValueError(f"{path}: no such file{hint}")
        if real in self.seen:
            raise ValueError(f"{path}: the same file as on {self.seen[real]}")
        self.seen[real] = place
        return Path(name).as_posix()

    def _as_written_here(self, path: str) -> str:
        """The existing file that a path means: with backslashes, in another Unicode form, or without its ending.

        Raises ValueError where a path without ending may mean several files.
        """
        slashed = path.replace("\\", "/")
        forms = [form(of) for of in (path, slashed) for form in (str, _composed, _decomposed)]
        for form in forms:
            if os.path.isfile(self.root / form):
                return form
        found = []
        if not os.path.splitext(path)[1]:
            endings = sorted({ending for known in ENDINGS for ending in (known, known.upper())})
            found = [slashed + ending for ending in endings if os.path.isfile(self.root / (slashed + ending))]
        if len(found) > 1 and not all(os.path.samefile(self.root / found[0], self.root / other) for other in found[1:]):
            raise ValueError(f"{path}: may be {' or '.join(found)}")
        return found[0] if found else path


def _is_file(real: str, path: str) -> bool:
    """Whether there is a file. Raises ValueError where that cannot be known, in a folder that may not be entered."""
    try:
        return stat.S_ISREG(os.stat(real).st_mode)
    except PermissionError as error:
        raise ValueError(f"{path}: cannot be opened ({error.strerror})") from error
    except OSError:
        return False


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)
