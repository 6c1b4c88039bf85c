"""The images to judge: a file, a folder or a list of files, with their classes and patients where these are known."""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from medcls.config import DataConfig
from medcls.config.data import ColumnsConfig
from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.formats.kinds import ENDINGS
from medcls.quoting import typed
from medcls.sources.class_names import is_missing, labels_begun_by, labels_called, unicode_form
from medcls.sources.groups import find_groups, known_groups
from medcls.sources.image_folder import check_names, find_files, natural_order, say_passed_over
from medcls.sources.listed import Row, sample_of
from medcls.sources.location import Manifest, find_manifests, find_root, or_set_aside
from medcls.sources.manifest import TWICE, UNREADABLE, alike, open_csv, read_all
from medcls.sources.paths import ImagePaths
from medcls.sources.split_names import split_named

log = logging.getLogger(__name__)

NOT_LABELLED = "Judge them without their classes: labelled=false"


@dataclass(frozen=True)
class Inputs:
    """Files ``root/name`` in a fixed order; labels (N,): indices of the nets' classes, None where unknown.

    groups: patient of each, "" where unknown; title: what reports call the images; further: name -> what other columns
    of a list say about it.
    """

    root: Path
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None
    groups: tuple[str, ...]
    title: str
    further: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        return [self.root / name for name in self.names]

    def select(self, at: Sequence[int] | NDArray[np.int64]) -> "Inputs":
        """Those at the positions ``at``."""
        labels = None if self.labels is None else self.labels[np.asarray(at, np.int64)]
        names, groups = (tuple(of[i] for i in at) for of in (self.names, self.groups))
        return changed(self, names=names, labels=labels, groups=groups)


class Classes:
    """The classes of the nets, and what a folder, a file name or a row may call them.

    names: in label order; tokens: token -> name of a class (data.classes of the command or else of the run); None:
    classes are called by their names alone. Raises UserError for a token of no class.
    """

    def __init__(self, names: Sequence[str], tokens: Mapping[str, str] | None, *, given: bool) -> None:
        self.names, self.tokens = tuple(names), dict(tokens or {})
        at = {unicode_form(name): i for i, name in enumerate(names)}
        for token, name in self.tokens.items():
            if (meant := unicode_form(name)) not in at:
                where = "data.classes" if given else "config.yaml of the run"
                raise UserError(
                    f"{where}: maps {token!r} to {name!r}, which is not a class of the run."
                    f"{_nearest(name, names)}\n  Classes of the run: {', '.join(names)}. "
                    "Expected data.classes={<class there>: <class of the run>, ...}"
                )
            at[unicode_form(token)] = at[meant]
        self.at = at
        self.by_token = {unicode_form(token): at[unicode_form(token)] for token in self.tokens}

    def of_folder(self, name: str) -> set[int]:
        """Labels that a folder stands for, as in training."""
        return labels_called(name, self.at)

    def of_file(self, stem: str) -> set[int]:
        """Labels that the name of a file in no folder stands for, as in training."""
        if not self.tokens:
            return labels_called(re.split(r"[_\s-]", stem)[0], self.at)
        return labels_begun_by(stem, self.by_token) or labels_called(stem, self.at)

    def refused(self, where: str, wrong: Sequence[str], what: str) -> UserError:
        """The message for names that are no classes."""
        lines = [f"{name}{_nearest(name, [*self.names, *self.tokens])}" for name in wrong]
        mapping = ", ".join(f"{name}: <class>" for name in wrong[:2])
        return UserError(
            f"{where}: {len(wrong)} {what} fit no class of the run, or several:\n{listing(lines)}\n"
            f"  Classes of the run: {', '.join(self.names)}. Give the class of each: 'data.classes={{{mapping}}}'\n"
            f"  {NOT_LABELLED}"
        )


def list_inputs(
    config: DataConfig, names: Sequence[str], of_run: Mapping[str, str] | None, labelled: bool | None
) -> Inputs:
    """Images that ``config`` names, with labels among the classes ``names`` of the nets where they have any.

    of_run: data.classes of the run; labelled: as in the configuration. Raises UserError where there are no images, or
    their classes are not those of the nets.
    """
    if config.medmnist is not None or config.target is not None:
        raise UserError("data: predict takes files: a folder, a list or one file (data=folder data.root=...).")
    classes = Classes(names, config.classes or of_run, given=config.classes is not None)
    root = find_root(config)
    if root.is_file():
        if labelled:
            raise UserError(f"labelled: found true, but data.root is one file, {root}. Leave it out.")
        check_names([root.name])
        return Inputs(root.parent, (root.name,), None, ("",), root.stem)
    if not root.is_dir():
        raise UserError(f"data.root: no folder or file {root}. Name one: {typed('data.root', '/path/to/images')}")
    if config.classes is not None and labelled is None:
        labelled = True  # else the map would have no effect
    title = config.title if config.name != "folder" else root.resolve().name
    if manifests := find_manifests(config, root):
        with or_set_aside(config, manifests):
            return changed(_of_manifests(manifests, root, config, classes, labelled), title=title)
    found = find_files(root)
    check_names(found.names)
    if not found.names:
        raise UserError(f"data.root: no images below {root}. Expected files ending in {', '.join(sorted(ENDINGS))}.")
    say_passed_over(root, found.lost, found.passed_over)
    labels = _of_names(root, found.names, classes, labelled) if labelled is not False else None
    groups = tuple(find_groups(found.names, config.group_pattern))
    return Inputs(root, tuple(found.names), labels, groups, title)


def _of_names(root: Path, names: Sequence[str], classes: Classes, labelled: bool | None) -> NDArray[np.int64] | None:
    """Labels by folder or by file name; None where the names say no classes."""
    paths = [PurePosixPath(name) for name in names]
    inner = [PurePosixPath(*path.parts[bool(split_named(path.parts[0])) and len(path.parts) > 1 :]) for path in paths]
    in_folders = [len(path.parts) > 1 for path in inner]
    where = f"data.root: {root}"
    if any(in_folders) and not all(in_folders):
        strays = [name for name, folder in zip(names, in_folders, strict=True) if not folder]
        raise UserError(
            f"{where}: some images lie in folders, {len(strays)} do not:\n{listing(strays)}\n"
            f"  Use one layout, a folder for each class or the class in every file name. {NOT_LABELLED}"
        )
    if all(in_folders):
        found = {folder: classes.of_folder(folder) for folder in {path.parts[0] for path in inner}}
        if wrong := [folder for folder in natural_order(found) if len(found[folder]) != 1]:
            raise classes.refused(where, wrong, "folders")
        labels = [next(iter(found[path.parts[0]])) for path in inner]
    else:
        of_files = [classes.of_file(path.stem) for path in inner]
        if not any(of_files) and not labelled:
            log.info("%s: the file names contain no classes of the run; the images are judged without labels", root)
            return None
        if wrong := [name for name, of in zip(names, of_files, strict=True) if len(of) != 1]:
            raise classes.refused(where, wrong, "file names")
        labels = [next(iter(of)) for of in of_files]
    say_labels(str(root), labels, classes.names)
    return np.array(labels, np.int64)


def say_labels(where: str, labels: Sequence[int], names: Sequence[str]) -> None:
    """Log how many images of which class there are."""
    counts = Counter(labels)
    log.info("%s: %s", where, ", ".join(f"{counts[i]} {name}" for i, name in enumerate(names)))


def _of_manifests(
    manifests: Sequence[Manifest], root: Path, config: DataConfig, classes: Classes, labelled: bool | None
) -> Inputs:
    columns, has_labels = config.columns, all(_has_labels(one.file, config.columns, labelled) for one in manifests)
    if not has_labels:
        if labelled is None:
            log.info("not every list has a column %r; the images are judged without their classes", columns.label)
        columns = columns.model_copy(update={"label": columns.path})  # stands in, unused
    rows = read_all(manifests, columns)
    source = ", ".join(str(manifest.file) for manifest in manifests)
    if labelled and not has_labels:
        raise UserError(
            f"{source}: no column {config.columns.label!r}. Name it: data.columns.label=...\n  {NOT_LABELLED}"
        )
    known = has_labels and labelled is not False and (bool(labelled) or not all(is_missing(row.label) for row in rows))
    groups = known_groups([row.group or "" for row in rows], source)
    paths, names, labels, problems = ImagePaths(root, config.allow_outside_root), [], [], []
    for row in rows:
        try:
            name = paths.check(row.path, row.place)
            labels.append(_label(row, name, classes.at) if known else -1)
            names.append(name)
        except ValueError as error:
            problems.append(f"{row.place}: {error}")
    if problems:
        raise UserError(
            f"{source}: {len(problems)} of {len(rows)} rows are wrong:\n{listing(problems)}\n"
            f"  Expected paths below data.root={root} and classes {', '.join(classes.at)}; for other names: "
            f"data.classes={{<class there>: <class of the run>, ...}}\n  {NOT_LABELLED}"
        )
    if config.group_pattern is not None:
        if any(groups):
            raise UserError(f"data.group_pattern: {TWICE.format(config.columns.group)}")
        groups = find_groups(names, config.group_pattern)
    if known:
        say_labels(source, labels, classes.names)
    further = {name: row.further for name, row in zip(names, rows, strict=True) if row.further}
    return Inputs(root, tuple(names), np.array(labels, np.int64) if known else None, tuple(groups), "", further)


def _label(row: Row, name: str, at: Mapping[str, int]) -> int:
    """Label of a row; ValueError says what is wrong with it."""
    return sample_of(changed(row, split=None), name, at).label


def _has_labels(file: Path, columns: ColumnsConfig, labelled: bool | None) -> bool:
    """Whether a list has a column of labels, or one that may be meant, or cannot be read, which ``read_rows`` says."""
    try:
        header = [cell.strip() for cell in next(open_csv(file)[0], [])]
    except UNREADABLE:
        return True
    if columns.label in header or columns.label != "label":
        return True
    return labelled is not False and alike(columns.label, header) is not None


def _nearest(name: str, known: Sequence[str]) -> str:
    lower = {one.casefold(): one for one in known}
    nearest = get_close_matches(name.casefold(), lower, n=1)
    return f"   did you mean {lower[nearest[0]]}?" if nearest else ""
