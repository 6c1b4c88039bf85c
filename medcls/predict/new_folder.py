"""Where a command on trained nets writes: elsewhere than among images, and all of a new folder, or nothing."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from medcls.atomic import telling_of_full_disk
from medcls.config import DataConfig
from medcls.config.targets import KEY
from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.run import Run
from medcls.sources.location import check_outside, check_outside_images, expanded

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)  # what a rename says of another's folder or file


def output_path(output: Path | None, name: str, data: DataConfig, runs: Iterable[Run]) -> Path:
    """Where to write: ``output``, else ``name`` below runs/.

    Raises UserError for a place among the images of ``data``, or of one of the ``runs`` where these are still there.
    """
    path = expanded(output) if output else Path("runs") / name
    check_outside_images("output", path, data)
    for root in {root for run in runs if (root := _images_of(run)) is not None}:
        check_outside("output", path, root)
    return path


def _images_of(run: Run) -> Path | None:
    """Folder of a run's images; None of arrays, of what a list or code names, and where it is not known or gone."""
    data = run.config.get("data")
    if not isinstance(data, Mapping) or data.get("manifest") or data.get(KEY):
        return None
    try:
        root = RunFolder(run.folder).read_data()["root"]
    except UserError:
        return None
    return Path(root) if root and Path(root).is_dir() else None


def new_folder(output: Path | None, name: str, data: DataConfig, runs: Iterable[Run]) -> Path:
    """The same for a folder. Raises UserError for a file, or a folder with files, too."""
    folder = output_path(output, name, data, runs)
    if folder.is_file() or (folder.is_dir() and _names(folder)):
        raise _taken(folder)
    return folder


@contextmanager
def writing_folder(folder: Path) -> Iterator[Path]:
    """Hidden folder that becomes ``folder`` when the block ends; on an error or a signal nothing is left.

    Raises UserError when the disk is full, or another process has written to ``folder`` meanwhile.
    """
    # A folder that is there stays the same one: it may be where another file system is mounted, or a shell's own.
    hidden = (folder if folder.is_dir() else folder.parent) / f".{os.getpid()}.unfinished"
    try:
        with telling_of_full_disk(folder):
            hidden.mkdir(parents=True)
            yield hidden
        _put_in_place(hidden, folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _put_in_place(hidden: Path, folder: Path) -> None:
    if hidden.parent == folder:
        if _names(folder):
            raise _taken(folder)
        for path in hidden.iterdir():
            path.rename(folder / path.name)
        return
    try:
        hidden.rename(folder)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        raise _taken(folder) from error


def _names(folder: Path) -> list[str]:
    """What a folder holds, beside what is hidden, as the unfinished folder of a process that was killed is."""
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def _taken(folder: Path) -> UserError:
    return UserError(f"output: {folder} is a file or holds files already. Name another folder: output=...")
