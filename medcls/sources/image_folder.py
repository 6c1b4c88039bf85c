"""A folder of image files as a table of samples: which layout it has, which classes, which splits."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from medcls.data.groups import find_groups
from medcls.data.listing import SHOWN, listing
from medcls.data.split import Division, divide
from medcls.data.table import Sample, SampleTable, check_counts
from medcls.errors import UserError
from medcls.sources.formats import ENDINGS, is_image_name

log = logging.getLogger(__name__)

SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def scan_folder(
    root: Path,
    classes: Mapping[str, str] | None,
    *,
    val_fraction: float,
    split_seed: int,
    folds: int | None = None,
    fold: int = 0,
    group_pattern: str | None = None,
) -> SampleTable:
    """Table of all images below ``root``, sorted by name.

    ``classes``: token in the file name, or name of the sub-folder, -> class name, in label order; None: found, in
    alphabetical order. Splits are the folders ``train/`` with ``val/``, ``validation/`` or ``test/`` (alone, test
    serves as validation); without them, or with ``folds``, they are drawn (see ``divide``), with the patients that
    ``group_pattern`` finds (see ``find_groups``).
    Raises UserError for a missing or empty folder, file names that fit no class or two, a single class, or a class
    without training or validation images.
    """
    names = image_names(root)
    check_names(names)
    if not names:
        raise UserError(f"data.root: no images below {root}. Expected files ending in {', '.join(sorted(ENDINGS))}.")
    split_folders = {name: split for name in names if (split := split_of(name))}
    if "train" in split_folders.values():
        if strays := [name for name in names if name not in split_folders]:
            log.warning("%d images outside of the split folders are left out:\n%s", len(strays), listing(strays))
        names, splits = list(split_folders), list(split_folders.values())
        inner = [PurePosixPath(*PurePosixPath(name).parts[1:]) for name in names]
    elif split_folders:
        found_folders = sorted({PurePosixPath(name).parts[0] for name in split_folders})
        raise UserError(f"data.root: {root} has {', '.join(found_folders)} but no train folder to train on.")
    else:
        splits = ["train"] * len(names)
        inner = [PurePosixPath(name) for name in names]

    found, labels = label_all(inner, names, classes)
    groups = find_groups(names, group_pattern)
    found_samples = [Sample(*sample) for sample in zip(names, labels, splits, groups, strict=True)]
    samples, split_drawn = divide(found_samples, Division(val_fraction, split_seed, folds, fold))
    table = SampleTable(root, found, samples, split_drawn)
    check_counts(table)
    return table


def image_names(root: Path) -> list[str]:
    """Names of all image files below ``root``, sorted; links are followed, hidden files and folders passed over."""
    if not root.is_dir():
        raise UserError(f"data.root: no folder {root}. Name an existing one: data.root=/path/to/images")
    names: list[str] = []
    above = {str(root): {os.path.realpath(root)}}  # where each folder, and those that led to it, really lie
    for folder, folders, files in os.walk(root, followlinks=True):
        inner = "" if folder == str(root) else f"{Path(folder).relative_to(root).as_posix()}/"
        names += [f"{inner}{name}" for name in files if not name.startswith(".") and is_image_name(folder, name)]
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name in real if real[name] not in above[folder]]  # links may lead round in circles
        above |= {os.path.join(folder, name): above[folder] | {real[name]} for name in folders}
    return sorted(names)


def check_names(names: list[str]) -> None:
    """Raise UserError for names that no table or page could hold: of another encoding, from another system."""
    if odd := [name for name in names if not is_text(name)]:
        shown = [name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name in odd]
        raise UserError(f"data.root: found file names that are not UTF-8:\n{listing(shown)}\n  Rename the files.")


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8, which one that was not UTF-8 on disk cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_of(name: str) -> str | None:
    """Split that the first folder of a name stands for, None where it stands for none."""
    parts = PurePosixPath(name).parts
    return SPLIT_FOLDERS.get(parts[0].lower()) if len(parts) > 1 else None


def label_all(
    inner: list[PurePosixPath], names: list[str], classes: Mapping[str, str] | None
) -> tuple[tuple[str, ...], list[int]]:
    """Class names in label order and the label of each image; ``inner``: names below their split folder."""
    in_folders = [len(path.parts) > 1 for path in inner]
    if any(in_folders) and not all(in_folders):
        strays = [name for name, folder in zip(names, in_folders, strict=True) if not folder]
        raise UserError(
            f"data.root: some images lie in a folder of a class, {len(strays)} do not:\n{listing(strays)}\n"
            "  Use one layout: a sub-folder per class, or the class in every file name."
        )
    clue: Callable[[PurePosixPath], str] = (lambda path: path.parts[0]) if all(in_folders) else (lambda path: path.stem)
    clues = [clue(path) for path in inner]
    if classes is None:
        found = clues if all(in_folders) else [re.split(r"[_\s-]", stem)[0] for stem in clues]
        classes = {token: token for token in natural_order(set(found))}
        check_found(classes, found, all(in_folders))
        return tuple(classes), [list(classes).index(token) for token in found]
    return tuple(classes.values()), label_by_tokens(clues, names, classes)


def natural_order(tokens: Iterable[str]) -> list[str]:
    """Alphabetical order with numbers by value: C2 before C10."""
    return sorted(tokens, key=lambda token: [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", token)])


def check_found(classes: Mapping[str, str], found: list[str], in_folders: bool) -> None:
    """Raise UserError when every file name would look like a class of its own."""
    if not in_folders and len(classes) > max(2, len(found) // 5):
        raise UserError(
            f"data.root: no classes found in {len(found)} file names: their beginnings up to the first underscore are "
            f"{len(classes)} different ones ({', '.join(list(classes)[:SHOWN])} ...).\n"
            "  Put each class in a sub-folder of its own, or begin each file name with its class: Mel_0001.jpg"
        )


def label_by_tokens(clues: list[str], names: list[str], classes: Mapping[str, str]) -> list[int]:
    """Label of each image by the one class whose token (or name) its folder or file name holds."""
    patterns = [re.compile(f"{token_pattern(token)}|^{re.escape(name)}$", re.I) for token, name in classes.items()]
    matches = [[label for label, pattern in enumerate(patterns) if pattern.search(clue)] for clue in clues]
    for wrong, what in (
        ([name for name, labels in zip(names, matches, strict=True) if not labels], "fit no class"),
        ([name for name, labels in zip(names, matches, strict=True) if len(labels) > 1], "fit more than one class"),
    ):
        if wrong:
            raise UserError(
                f"{len(wrong)} of {len(names)} images {what} (file or folder name with one of {', '.join(classes)}):\n"
                f"{listing(wrong)}\n  Rename or remove them, or give the tokens in data.classes."
            )
    return [labels[0] for labels in matches]


def token_pattern(token: str) -> str:
    """Pattern of a token that stands alone: Mel in Mel_01 and Mel01 but not in Melon; C1 not in C12."""
    after = r"(?!\d)" if token[-1].isdigit() else r"(?![A-Za-z])"
    return rf"(?<![A-Za-z0-9]){re.escape(token)}{after}"
