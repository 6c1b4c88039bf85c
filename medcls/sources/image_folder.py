"""A folder of image files as a table of samples: which layout it has, which classes, which splits."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath

from medcls.config.data import SplitConfig
from medcls.data.listing import SHOWN, listing
from medcls.data.table import Sample, SampleTable, check_counts
from medcls.errors import UserError
from medcls.formats.kinds import ENDINGS, is_image_name
from medcls.quoting import typed
from medcls.sources.class_names import found_classes, given_classes, labels_begun_by, labels_called
from medcls.sources.groups import find_groups
from medcls.sources.split import divide
from medcls.sources.split_names import EXPECTED, looks_like_split, split_named

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """Files below a folder: ``names`` of images, sorted, and how many others there are by ending.

    ``lost``: folders with files of which none is an image.
    """

    names: list[str]
    passed_over: dict[str, int]
    lost: list[str]


def scan_folder(
    root: Path,
    classes: Mapping[str, str] | None,
    *,
    split: SplitConfig,
    group_pattern: str | None = None,
) -> SampleTable:
    """Table of all images below ``root``, sorted by name.

    ``classes``: token at the beginning of the file name, or name of the sub-folder, -> class name, in label order;
    None: found, in alphabetical order. Splits are the first folders where they are called so (see ``split_named``); a
    test split alone serves as validation. Without them, or with ``split.folds``, they are drawn (see ``divide``), with
    the patients that ``group_pattern`` finds (see ``find_groups``). Whatever else lies there is counted and logged.
    Raises UserError for a missing or empty folder, one that may be a split, file names that fit no class or two, names
    that are no classes (see ``found_classes``), a single class, or a class without training or validation images.
    """
    found = find_files(root)
    check_names(found.names)
    if not found.names:
        others = ", ".join(f"{number} {ending}" for ending, number in found.passed_over.items())
        raise UserError(
            f"data.root: no images below {root}{f' (found {others})' if others else ''}. "
            f"Expected files ending in {', '.join(sorted(ENDINGS))}."
        )
    names, splits, passed_over = split_by_folders(root, found, classes is not None)
    inner = [
        PurePosixPath(*PurePosixPath(name).parts[split is not None :])
        for name, split in zip(names, splits, strict=True)
    ]
    known, labels = label_all(inner, names, classes)
    groups = find_groups(names, group_pattern)
    rows = zip(names, labels, (split or "train" for split in splits), groups, strict=True)
    table = SampleTable(root, known, tuple(Sample(*row) for row in rows), passed_over=passed_over)
    table = divide(table, split)
    check_counts(table)
    say_passed_over(root, found.lost, passed_over)
    return table


def find_files(root: Path) -> Found:
    """All files below ``root``; links are followed, hidden files and folders skipped.

    Raises UserError for a folder that does not exist, or may not be read.
    """
    if not root.is_dir():
        raise UserError(f"data.root: no folder {root}. Name an existing one: {typed('data.root', '/path/to/images')}")
    names: list[str] = []
    others: Counter[str] = Counter()
    images_in: Counter[str] = Counter()  # by folder
    above = {str(root): {os.path.realpath(root)}}  # where each folder, and those that led to it, really lie
    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse_folder):
        inner = "" if folder == str(root) else f"{Path(folder).relative_to(root).as_posix()}/"
        shown = [name for name in files if not name.startswith(".")]
        images = [name for name in shown if is_image_name(folder, name)]
        names += [f"{inner}{name}" for name in images]
        others.update(ending_of(name) for name in set(shown) - set(images))
        others["hidden"] += len(files) - len(shown) + sum(name.startswith(".") for name in folders)
        if shown and inner:
            images_in[inner[:-1]] = len(images)
        real = {name: os.path.realpath(os.path.join(folder, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name in real if real[name] not in above[folder]]  # links may form a loop
        above |= {os.path.join(folder, name): above[folder] | {real[name]} for name in folders}
    passed_over = {ending: number for ending, number in sorted(others.items()) if number}
    return Found(sorted(names), passed_over, sorted(inner for inner, number in images_in.items() if not number))


def refuse_folder(error: OSError) -> None:
    """Raise UserError for a folder whose files cannot be listed, and would be silently missing."""
    if os.path.basename(str(error.filename)) == "lost+found":  # which file systems keep for repairs
        return
    raise UserError(
        f"data.root: the folder {error.filename} cannot be read ({error.strerror}).\n"
        "  Make it readable, or move it out of the folder of the images."
    ) from error


def ending_of(name: str) -> str:
    """How a file's name ends, for counts: .csv, .nii.gz, or that it has no ending."""
    suffixes = PurePosixPath(name.lower()).suffixes
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:]) or "without ending"


def say_passed_over(root: Path, lost: list[str], passed_over: Mapping[str, int]) -> None:
    """Log what is not read, as a warning where it includes whole folders."""
    if not passed_over:
        return
    counts = ", ".join(f"{number} {ending}" for ending, number in passed_over.items())
    text = f"{root}: {sum(passed_over.values())} files are not readable images and are skipped: {counts}"
    if lost:
        log.warning("%s; including all of %s", text, ", ".join(lost[:SHOWN]) + (" ..." if len(lost) > SHOWN else ""))
    else:
        log.info("%s", text)


def split_by_folders(
    root: Path, found: Found, classes_given: bool
) -> tuple[list[str], list[str | None], dict[str, int]]:
    """Names to use, the split of each (None: to be drawn), and what is passed over besides ``found.passed_over``.

    Raises UserError for folders that may or may not be splits, or that lie where none are expected.
    """
    first = {name: PurePosixPath(name).parts[0] for name in found.names if "/" in name}
    splits = {name: split for name, folder in first.items() if (split := split_named(folder))}
    unsure = sorted({folder for folder in first.values() if split_named(folder) is None and looks_like_split(folder)})
    if unsure and (splits or not classes_given):
        raise UserError(
            f"data.root: {root} has {', '.join(unsure)}, which may be a split: expected {EXPECTED}.\n"
            "  Rename it or, if it is a class, name all classes: data.classes={<folder>: <class>, ...}"
        )
    if splits:
        if "train" not in splits.values():
            folders = ", ".join(sorted({first[name] for name in splits}))
            raise UserError(
                f"data.root: {root} has {folders} but no train folder to train on.\n  Add it, or rename the folder of "
                "the training images."
            )
        passed_over = found.passed_over
        if strays := [name for name in found.names if name not in splits]:
            log.warning("%d images outside of the split folders are left out:\n%s", len(strays), listing(strays))
            passed_over = {**passed_over, "outside of the split folders": len(strays)}
        return list(splits), list(splits.values()), passed_over
    second = {parts[:2] for name in found.names if len(parts := PurePosixPath(name).parts) > 2}
    if below := sorted({folder for _, folder in second if split_named(folder)}):
        above = sorted({folder for folder, inner in second if split_named(inner)})
        where = (
            typed("data.root", str(root / above[0])) if len(set(first.values())) == 1 else "train/<class>, test/<class>"
        )
        raise UserError(
            f"data.root: the splits {', '.join(below)} lie below {', '.join(above[:SHOWN])}; expected them above the "
            f"classes: {where}.\n  Move the folders, or list the images: data.manifest=labels.csv"
        )
    return found.names, [None] * len(found.names), found.passed_over


def check_names(names: list[str]) -> None:
    """Raise UserError for names that no table or page could hold: in another encoding, from another system."""
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


def label_all(
    inner: list[PurePosixPath], names: list[str], classes: Mapping[str, str] | None
) -> tuple[tuple[str, ...], list[int]]:
    """Class names in label order and the label of each image; ``inner``: names below their split folder."""
    in_folders = [len(path.parts) > 1 for path in inner]
    if any(in_folders) and not all(in_folders):
        strays = [name for name, folder in zip(names, in_folders, strict=True) if not folder]
        raise UserError(
            f"data.root: some images lie in class folders, {len(strays)} do not:\n{listing(strays)}\n"
            "  Use one layout: a sub-folder per class, or the class in every file name."
        )
    clues = [path.parts[0] if all(in_folders) else path.stem for path in inner]
    if classes is not None:
        return given_classes(classes).names, label_by_tokens(clues, names, classes, all(in_folders))
    found = clues if all(in_folders) else [re.split(r"[_\s-]", stem)[0] for stem in clues]
    counts = Counter(found)
    check_found(counts, all(in_folders))
    known = found_classes({token: counts[token] for token in natural_order(counts)}, "data.root")
    return known.names, [known.tokens[token] for token in found]


def natural_order(tokens: Iterable[str]) -> list[str]:
    """Alphabetical order with numbers by value, also below zero where a token begins with one: -1, 1, C2, C10."""
    return sorted(tokens, key=_by_value)


def _by_value(token: str) -> list[str | Decimal]:
    """Text and numbers alternately; Decimal, since Python reads no int of more than 4,300 digits."""
    parts = re.split(r"(^-?\d+|\d+)", token)
    return [Decimal(part) if i % 2 else part for i, part in enumerate(parts)]


def check_found(counts: Mapping[str, int], in_folders: bool) -> None:
    """Raise UserError when every file name would look like a class of its own."""
    images = sum(counts.values())
    if not in_folders and len(counts) > max(2, images // 5):
        raise UserError(
            f"data.root: no classes found in {images} file names: up to the first underscore, hyphen or space "
            f"they have {len(counts)} different beginnings ({', '.join(natural_order(counts)[:SHOWN])} ...).\n"
            "  Put each class in a sub-folder of its own, or begin each file name with its class: Mel_0001.jpg"
        )


def label_by_tokens(clues: list[str], names: list[str], classes: Mapping[str, str], in_folders: bool) -> list[int]:
    """Label of each image: the one class that its folder names, or whose token its file name begins with."""
    known = given_classes(classes)
    called = known.called()

    def labels_of(clue: str) -> set[int]:
        found = set() if in_folders else labels_begun_by(clue, known.tokens)
        return found or labels_called(clue, called)

    labels = {clue: labels_of(clue) for clue in set(clues)}
    matches = [labels[clue] for clue in clues]
    place = "folders called" if in_folders else "file names that begin with"
    for wrong, what in (
        ([name for name, found in zip(names, matches, strict=True) if not found], "fit no class"),
        ([name for name, found in zip(names, matches, strict=True) if len(found) > 1], "fit more than one class"),
    ):
        if wrong:
            raise UserError(
                f"{len(wrong)} of {len(names)} images {what} (expected {place} one of {', '.join(classes)}):\n"
                f"{listing(wrong)}\n  Rename or remove them, give the tokens in data.classes, or list the images: "
                "data.manifest=labels.csv"
            )
    return [next(iter(found)) for found in matches]
