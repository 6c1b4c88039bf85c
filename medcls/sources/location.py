"""Where the images of a configuration lie, and that we write nothing there."""

from pathlib import Path

from medcls.config.data import DataConfig
from medcls.errors import UserError


def find_root(config: DataConfig) -> Path:
    """Folder of the images; where none is named, that of the manifest. Raises UserError where neither is."""
    if config.root is None and config.manifest is not None:
        return config.manifest.expanduser().parent
    root = config.root or config.default_root
    if root is None:
        raise UserError("data.root: missing. Name the folder with the images: data.root=/path/to/images")
    return root.expanduser()


def find_manifest(manifest: Path, root: Path) -> Path:
    """The manifest in ``root`` or, where there is none, in the working folder. Raises UserError where it is nowhere."""
    manifest = manifest.expanduser()
    for candidate in (root / manifest, manifest):
        if candidate.is_file():
            return candidate
    raise UserError(
        f"data.manifest: no file {manifest} (looked in {root} and in the working folder).\n"
        "  Name an existing one: data.manifest=/path/to/labels.csv"
    )


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
