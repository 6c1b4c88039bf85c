"""Images that a list names, row by row: of a manifest, or of a function of the user's own; as a table of samples."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from medcls.config.data import SplitConfig
from medcls.data.listing import listing
from medcls.data.table import Sample, SampleTable, check_counts
from medcls.errors import UserError
from medcls.sources.class_names import found_classes, given_classes, is_missing, unicode_form
from medcls.sources.groups import find_groups, known_groups
from medcls.sources.image_folder import natural_order
from medcls.sources.split import divide
from medcls.sources.split_names import EXPECTED, split_named

log = logging.getLogger(__name__)

SHOWN_ROWS = 200  # wrong rows listed before "and N more"


@dataclass(frozen=True)
class Row:
    """A row as its source has it; ``place``: for messages, such as line 4; split and group are None where unknown.

    further: what other columns hold for the image.
    """

    place: str
    path: str
    label: str
    split: str | None
    group: str | None
    further: Mapping[str, str] = field(default_factory=dict)


def table_of_rows(
    rows: Sequence[Row],
    root: Path | None,
    classes: Mapping[str, str] | None,
    *,
    source: str,
    check_path: Callable[[Row], str],
    group_pattern: str | None,
    groups_twice: str,
    split: SplitConfig,
) -> SampleTable:
    """Table of the images in ``rows``, in their order.

    ``classes``: token -> class name, in label order, where a label is either; None: found, in alphabetical order.
    ``check_path``: name of a row's image, or a ValueError that says what is wrong with it. Rows without splits are
    divided (see ``divide``). Patients: those of the rows, else what ``group_pattern`` finds. ``source`` and
    ``groups_twice`` (what to say of patients in both) are for messages.
    Raises UserError that lists all wrong rows, and for a class without training or validation images.
    """
    if classes is None:
        counts = Counter(row.label for row in rows if not is_missing(row.label))
        known = found_classes({label: counts[label] for label in natural_order(counts)}, source)
        labels = {unicode_form(name): label for name, label in known.tokens.items()}
    else:
        known = given_classes(classes)
        labels = known.called()
    samples, problems = samples_of(rows, labels, check_path, source)
    if problems:
        paths = "" if root is None else f"paths below data.root={root}, "
        patients = ", and a patient in every row (a new one if unknown) or none" if any(r.group for r in rows) else ""
        raise UserError(
            f"{source}: {len(problems)} of {len(rows)} rows are wrong:\n{listing(problems, SHOWN_ROWS)}\n"
            f"  Expected {paths}labels {', '.join(labels)}{patients}. Correct the rows or remove them."
        )
    if group_pattern is not None:
        if any(sample.group for sample in samples):
            raise UserError(f"data.group_pattern: {groups_twice}")
        groups = find_groups([sample.name for sample in samples], group_pattern)
        samples = [replace(sample, group=group) for sample, group in zip(samples, groups, strict=True)]
    further = {sample.name: row.further for sample, row in zip(samples, rows, strict=True) if row.further}
    table = divide(SampleTable(root, known.names, tuple(samples), further=further), split)
    check_counts(table)
    return table


def samples_of(
    rows: Sequence[Row], labels: Mapping[str, int], check_path: Callable[[Row], str], source: str
) -> tuple[list[Sample], list[str]]:
    """Samples of the right rows, and what is wrong with the others: no patient, where others have one."""
    groups = known_groups([row.group or "" for row in rows], source)
    grouped = any(groups)
    if not grouped and any(row.group is not None for row in rows):
        log.warning("%s: no row names a patient, so every image counts as a patient of its own", source)
    samples, problems = [], []
    for row, group in zip(rows, groups, strict=True):
        try:
            sample = sample_of(row, check_path(row), labels)
            if grouped and not group:
                raise ValueError(f"no patient ({row.group!r}), but other rows have one")
            samples.append(replace(sample, group=group))
        except ValueError as error:
            problems.append(f"{row.place}: {error}")
    return samples, problems


def sample_of(row: Row, name: str, labels: Mapping[str, int]) -> Sample:
    """Sample of a row, but for its patient; ValueError says what is wrong with it."""
    label = labels.get(unicode_form(row.label))
    if label is None:
        if is_missing(row.label):
            raise ValueError(f"no label ({row.label!r})")
        nearest = get_close_matches(row.label, labels, n=1)
        raise ValueError(f"label {row.label!r} is not a class" + (f"; did you mean {nearest[0]}?" if nearest else ""))
    split = split_named(row.split or "train")
    if split is None or row.split == "":
        raise ValueError(f"split {row.split!r}, expected {EXPECTED}")
    return Sample(name, label, split)
