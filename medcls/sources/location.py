"""Where the images of a configuration lie, and checks that nothing is written there."""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from medcls.config.data import ROOT_VARIABLES, DataConfig
from medcls.errors import UserError
from medcls.sources.split_names import split_named

log = logging.getLogger(__name__)

METADATA = Path("metadata.csv")  # which lists the images of a folder without being named by a key


def find_root(config: DataConfig) -> Path:
    """Folder of the images; where none is named, that of the manifest. Raises UserError where neither is."""
    if config.root is None and config.manifest is not None:
        return expanded(config.manifest).parent
    root = config.root or config.default_root
    if root is None:
        raise UserError("data.root: missing. Name the folder with the images: data.root=/path/to/images")
    return expanded(root)


def check_root_variables(config: DataConfig) -> None:
    """Raise UserError where a variable names a default folder that does not exist, instead of simulating images."""
    assert config.default_root is not None
    for name in ROOT_VARIABLES:
        folder = os.environ.get(name)
        if folder and config.default_root.is_relative_to(folder) and not expanded(Path(folder)).is_dir():
            raise UserError(
                f"{name}: found {folder}, which is not a folder, expected the folder of the images.\n"
                f"  Set it to that folder or, for simulated images: unset {name}"
            )


class Manifest(NamedTuple):
    """A file that lists images, and the folder below the root that its paths are relative to."""

    file: Path
    folder: str = ""


def find_manifests(config: DataConfig, root: Path) -> list[Manifest]:
    """The manifest of ``config`` or, where it names none, each metadata.csv; empty where there is none either.

    Raises UserError where it cannot be found, or lies in some of the split folders only.
    """
    if config.manifest is not None:
        return find_manifest(config.manifest, root, says_root=config.root is None)
    found, in_splits = file_called(METADATA, root), manifests_of_splits(root, METADATA)
    if found and in_splits:
        raise UserError(
            f"data.root: found {found} and {in_splits[0].file}, expected {METADATA} in one place: the root, or each "
            "split folder.\n  Rename the others, or say which file lists the images: data.manifest=..."
        )
    manifests = [Manifest(found)] if found else in_splits
    for one in manifests:
        log.info("%s: images and classes are read from this file", one.file)
    return manifests


def find_manifest(manifest: Path, root: Path, *, says_root: bool) -> list[Manifest]:
    """The manifest in ``root``, or one in each of its split folders, or in the working folder.

    ``says_root``: the root is the folder that the manifest's own path names. Raises UserError where it cannot be found.
    """
    manifest = expanded(manifest)
    inside = Path(manifest.name) if says_root else manifest
    if (root / inside).is_file():
        return [Manifest(root / inside)]
    if in_splits := manifests_of_splits(root, inside):
        return in_splits
    if manifest.is_file():
        return [Manifest(manifest)]
    raise UserError(
        f"data.manifest: no file {manifest} (looked in {root}, its split folders and the working folder).\n"
        "  Name an existing one: data.manifest=/path/to/labels.csv"
    )


def manifest_place(config: DataConfig) -> Path | None:
    """Where the manifest lies, which may be named relative to the working folder; None without one for all splits."""
    if config.manifest is None:
        return None
    found = find_manifests(config, find_root(config))
    return None if any(one.folder for one in found) else found[0].file.parent.resolve() / found[0].file.name


def manifests_of_splits(root: Path, name: Path) -> list[Manifest]:
    """Files of that name in the split folders of ``root``. Raises UserError unless each of them or none has one."""
    folders = sorted(folder for folder in root.iterdir() if split_named(folder.name) and folder.is_dir())
    files = {folder.name: file_called(name, folder) for folder in folders if not name.is_absolute()}
    found = [Manifest(file, folder) for folder, file in files.items() if file is not None]
    if found and len(found) < len(files):
        without = ", ".join(folder for folder, file in files.items() if file is None)
        raise UserError(
            f"data.root: found {', '.join(str(one.file) for one in found)}, but no {name} in {without}. Expected one "
            "in each split folder, or in none.\n  Add it, or rename the others."
        )
    return found


def file_called(name: Path, folder: Path) -> Path | None:
    """The file of that name in ``folder``, else one whose name differs in case only; None where there is neither."""
    file = folder / name
    others = [other for other in sorted(file.parent.glob("*")) if other.name.casefold() == file.name.casefold()]
    return next((one for one in (file, *others) if one.is_file()), None)


@contextmanager
def or_set_aside(config: DataConfig, manifests: Sequence[Manifest]) -> Iterator[None]:
    """Add to a UserError about a metadata.csv, which no key names, how to do without it."""
    try:
        yield
    except UserError as error:
        if config.manifest is not None or not manifests:
            raise
        raise UserError(
            f"{error}\n  To take the classes from folders and file names instead, rename {manifests[0].file.name}; to "
            "use another list, name it: data.manifest=..."
        ) from error


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
    log.warning("this user has no home folder: decoded images are kept for this command alone (or set data.cache_dir)")
    return folder


def check_outside_images(key: str, folder: Path, config: DataConfig) -> None:
    """Raise UserError when ``folder``, which we write to, is or lies in the folder of the images.

    Besides changing data that is not ours, our pictures would be taken for images next time. A manifest, or a function
    of the user's own, lists its images, and its root may be a working folder that holds both.
    """
    listed = config.manifest is not None or config.target is not None
    if listed or config.uses_simulation or (config.root is None and config.default_root is None):
        return
    check_outside(key, folder, find_root(config))


def check_outside(key: str, path: Path, root: Path) -> None:
    """Raise UserError when ``path``, a file or folder that we write, is or lies in ``root``, that of the images."""
    root = root.resolve()
    if path.resolve() == root or root in path.resolve().parents:
        raise UserError(
            f"{key}: {path} lies in the folder of the images, {root}, where nothing is written.\n"
            f"  Name another place: {key}=..."
        )
