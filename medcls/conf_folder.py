"""Where medcls's own conf/ lies, and the folders searched for choices after it. Fast to import, for --help."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# Inside the package in a wheel, beside it in a checkout and in an editable install of one.
CONF = next(folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if (folder / "config.yaml").is_file())

_named: list[Path] = []


def name_folders(folders: list[Path]) -> None:
    """Search these folders too from now on, in place of those named before: --config-dir of the command at hand."""
    _named[:] = folders


def own_folders() -> list[Path]:
    """The user's folders of choices: those named, then conf/ in the working folder, unless it is medcls's own."""
    found = Path(os.getcwd()) / "conf"
    beside = [found] if found.is_dir() and not found.samefile(CONF) else []
    return [*(folder.absolute() for folder in _named), *beside]
