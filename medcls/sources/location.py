"""Where the images of a configuration lie, and that we write nothing there."""

import atexit
import logging
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from medcls.config.data import DataConfig
from medcls.errors import UserError
from medcls.sources.split_names import split_named

log = logging.getLogger(__name__)


def find_root(config: DataConfig) -> Path:
    """Folder of the images; where none is named, that of the manifest. Raises UserError where neither is."""
    if config.root is None and config.manifest is not None:
        return expanded(config.manifest).parent
    root = config.root or config.default_root
    if root is None:
        raise UserError("data.root: missing. Name the folder with the images: data.root=/path/to/images")
    return expanded(root)


class Manifest(NamedTuple):
    """A file that lists images, and the folder below the root that its paths are relative to."""

    file: Path
    folder: str = ""


def find_manifest(manifest: Path, root: Path) -> list[Manifest]:
    """The manifest in ``root``, or one in each of its split folders, or in the working folder.

    Raises UserError where it is nowhere.
    """
    manifest = expanded(manifest)
    if (root / manifest).is_file():
        return [Manifest(root / manifest)]
    if in_splits := manifests_of_splits(root, manifest):
        return in_splits
    if manifest.is_file():
        return [Manifest(manifest)]
    raise UserError(
        f"data.manifest: no file {manifest} (looked in {root}, its split folders and the working folder).\n"
        "  Name an existing one: data.manifest=/path/to/labels.csv"
    )


def manifests_of_splits(root: Path, name: Path) -> list[Manifest]:
    """Files of that name in the split folders of ``root``; none unless each of them has one."""
    folders = sorted(folder for folder in root.iterdir() if split_named(folder.name) and folder.is_dir())
    found = [Manifest(folder / name, folder.name) for folder in folders if not name.is_absolute()]
    return found if all(one.file.is_file() for one in found) else []


def expanded(path: Path) -> Path:
    """The path with ~ replaced by the home folder. Raises UserError where there is none."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UserError(f"{path}: this user has no home folder ({error}). Name the folder in full.") from error


def cache_folder(path: Path) -> Path:
    """The folder of the cache; without the home folder that it lies in, one that lasts as long as the process."""
    try:
        return path.expanduser()
    except RuntimeError:
        return _temporary()


@cache
def _temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="medcls-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log.warning("this user has no home folder: decoded images are kept for this command alone (or name data.cache_dir)")
    return folder


def check_outside_images(key: str, folder: Path, config: DataConfig) -> None:
    """Raise UserError when ``folder``, which we write to, is or lies in the folder of the images.

    Besides changing data that is not ours, our pictures would be found as images next time. A manifest, or a function
    of the user's own, lists its images, whose root may be the working folder above both.
    """
    listed = config.manifest is not None or config.target is not None
    if listed or config.uses_simulation or (config.root is None and config.default_root is None):
        return
    root = find_root(config).resolve()
    if folder.resolve() == root or root in folder.resolve().parents:
        raise UserError(
            f"{key}: {folder} lies in the folder of the images, {root}, to which nothing is written.\n"
            f"  Name a folder elsewhere: {key}=/path/to/folder"
        )
