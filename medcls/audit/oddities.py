"""What is odd about files and classes: masks among images, labels that hold two, classes too small."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from medcls.audit.file_facts import FileFacts, few_levels
from medcls.data.table import SampleTable

FEWEST = 10  # images of a class in a split, below which a metric of that class says little
_FOLDERS = {"@eadir", "__macosx", "thumbs", "thumbnails", ".thumbnails", "masks", "mask", "segmentation", "annotations"}
_ADDED = re.compile(
    r"[ _.-]*(mask|masks|seg|segmentation|superpixels?|thumb|thumbnail|annotation|label|overlay)$", re.I
)


def find_oddities(table: SampleTable, facts: Sequence[FileFacts]) -> dict[str, Any]:
    """Oddities by kind, each empty where there are none.

    ``companions``: name -> why a file looks like a mask or thumbnail rather than an image; ``several_labels``: classes
    whose names read like several labels; ``small_classes``: split -> class -> number of images, where these are fewer
    than FEWEST; ``of_one_kind``: class -> the format or size that all its files have and hardly any others do.
    """
    return {
        "companions": companions(table, facts),
        "several_labels": several_labels(table.classes),
        "small_classes": small_classes(table),
        "of_one_kind": of_one_kind(table, facts),
    }


def companions(table: SampleTable, facts: Sequence[FileFacts]) -> dict[str, str]:
    """Files that are probably not images themselves, such as masks beside an image of the same name, and why."""
    paths = [PurePosixPath(sample.name) for sample in table.samples]
    stems = {path.stem.lower() for path in paths}
    found = {}
    for path, sample, fact in zip(paths, table.samples, facts, strict=True):
        folder = next((part for part in path.parts[:-1] if part.lower() in _FOLDERS), None)
        stem = _ADDED.sub("", path.stem)
        if folder is not None:
            found[sample.name] = f"in a folder {folder}"
        elif stem != path.stem and stem.lower() in stems:
            found[sample.name] = f"beside {stem}"
        elif table.root is not None and fact.mode == "1":
            found[sample.name] = "of two values"
    twice = Counter(path.stem.lower() for path in paths)
    for path, sample, fact in zip(paths, table.samples, facts, strict=True):
        doubled = twice[path.stem.lower()] > 1 and sample.name not in found
        if doubled and table.root is not None and fact.bytes and few_levels(table.root / sample.name):
            found[sample.name] = "of two values, beside a file of the same name"
    return found


def several_labels(classes: Sequence[str]) -> list[str]:
    """Classes such as ``3 4`` or ``edema|effusion`` whose parts are classes too, or are numbers."""
    known = {name.lower() for name in classes}
    found = []
    for name in classes:
        parts = [part for part in re.split(r"[|;,+&/ ]+", name.strip().lower()) if part]
        if len(parts) > 1 and (all(part.isdecimal() for part in parts) or sum(part in known for part in parts) > 0):
            found.append(name)
    return found


def small_classes(table: SampleTable) -> dict[str, dict[str, int]]:
    """Split -> class -> number of its images, where these are few."""
    few = {
        split: {name: number for name, number in counts.items() if number < FEWEST}
        for split, counts in table.counts().items()
    }
    return {split: counts for split, counts in few.items() if counts}


def of_one_kind(table: SampleTable, facts: Sequence[FileFacts]) -> dict[str, str]:
    """Classes all of whose files have a format or a size that no file of another class has."""
    found = {}
    for what, value in (
        ("format", lambda fact: fact.format),
        ("size", lambda fact: f"{fact.width} x {fact.height}" if fact.width else ""),
    ):
        kinds: dict[str, set[str]] = defaultdict(set)
        for sample, fact in zip(table.samples, facts, strict=True):
            kinds[table.classes[sample.label]].add(value(fact))
        for name, own in kinds.items():
            others = set().union(*(kind for other, kind in kinds.items() if other != name))
            if len(own) == 1 and "" not in own and not own & others and others:
                found[name] = f"{what} {next(iter(own))}"
    return found
