"""Where the images of a configuration are listed: in a manifest, or by the folder itself."""

from pathlib import Path

from medcls.config.data import DataConfig, SplitConfig
from medcls.data.split import Division
from medcls.data.table import SampleTable
from medcls.errors import UserError
from medcls.sources.folder import scan_folder
from medcls.sources.manifest import read_manifest


def is_simulated(config: DataConfig) -> bool:
    """Whether simulated images stand in for a default folder that does not exist."""
    if config.root is not None or config.simulated is None or config.manifest is not None:
        return False
    return config.default_root is not None and not config.default_root.expanduser().is_dir()


def find_root(config: DataConfig) -> Path:
    """Folder of the images; where none is named, that of the manifest. Raises UserError where neither is."""
    if config.root is None and config.manifest is not None:
        return config.manifest.expanduser().parent
    root = config.root or config.default_root
    if root is None:
        raise UserError("data.root: missing. Name the folder with the images: data.root=/path/to/images")
    return root.expanduser()


def read_table(config: DataConfig, root: Path) -> SampleTable:
    """Table of the images below ``root``. Raises UserError as ``read_manifest`` or ``scan_folder`` do."""
    split = config.split
    if config.manifest is None:
        return scan_folder(
            root,
            config.classes,
            val_fraction=split.val_fraction,
            split_seed=split.seed,
            folds=split.folds,
            fold=split.fold,
            group_pattern=config.group_pattern,
        )
    if not root.is_dir():
        raise UserError(f"data.root: no folder {root}. Name an existing one: data.root=/path/to/images")
    return read_manifest(
        find_manifest(config.manifest, root),
        root,
        config.classes,
        columns=config.columns,
        allow_outside_root=config.allow_outside_root,
        group_pattern=config.group_pattern,
        division=division_of(split),
    )


def division_of(split: SplitConfig) -> Division:
    """The division that the configuration asks for."""
    return Division(split.val_fraction, split.seed, split.folds, split.fold)


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

    Besides changing data that is not ours, our pictures would be found as images next time. A manifest lists its
    images, and may lie in the working folder above both.
    """
    if is_simulated(config) or config.manifest is not None or (config.root is None and config.default_root is None):
        return
    root = find_root(config).resolve()
    if folder.resolve() == root or root in folder.resolve().parents:
        raise UserError(
            f"{key}: {folder} lies in the folder of the images, {root}, to which nothing is written.\n"
            f"  Name a folder elsewhere: {key}=/path/to/folder"
        )
