"""The findings of an audit as plain values: the content of audit.json."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medcls.audit.copies import Copies, find_copies
from medcls.audit.detail import SIDE
from medcls.audit.file_facts import FileFacts, read_all_facts
from medcls.audit.leaks import find_leaks
from medcls.audit.oddities import find_oddities
from medcls.audit.pairs import describe_pairs
from medcls.audit.pixels import gray_images
from medcls.audit.saved_results import key, load_copies, save_copies
from medcls.audit.shortcuts import find_shortcut
from medcls.config.schema import Config
from medcls.data.image_set import ImageSet
from medcls.data.table import SampleTable

SHOWN_SIZES = 10  # sizes of files listed, the most frequent first


def make_findings(image_set: ImageSet, config: Config, folder: Path) -> dict[str, Any]:
    """All findings on an image set, as plain values; ``folder``: where found copies are cached.

    ``leaks.training`` and every ``position`` are indices into the table's samples.
    """
    table = image_set.table
    facts = read_all_facts(table.root, [sample.name for sample in table.samples])
    copies = cached_copies(image_set, facts, config, folder)
    leaks = find_leaks(table.samples, copies)
    gray = image_set.images.mean(axis=(1, 2, 3), dtype=np.float64)
    shortcut = find_shortcut(table, facts, gray)
    if shortcut is not None:
        shortcut["suspicious"] = shortcut["auroc"]["low"] >= config.audit.shortcut_auroc
    return {
        "images": len(table.samples),
        "counts": table.counts(),
        "test_validates": table.test_validates,
        "files": describe_files(facts),
        "unreadable": dict(image_set.unreadable),
        "flat": [table.samples[i].name for i in np.flatnonzero(copies.flat)],
        "copies": describe_pairs(table, copies, image_set.digests, facts) | {"search": config.audit.search},
        "oddities": find_oddities(table, facts),
        "patients": {
            "known": len({sample.group for sample in table.samples if sample.group}),
            "with_several_images": several_images(table),
            "in_several_splits": leaks.patients,
        },
        "shortcut": shortcut,
        "leaks": {
            "training": np.flatnonzero(leaks.training).tolist(),
            "by_copy": int(leaks.by_copy.sum()),
            "by_patient": int(leaks.by_patient.sum()),
            "validation_in_test": int(leaks.between.sum()),
        },
        "compared_at": SIDE,
    }


def cached_copies(image_set: ImageSet, facts: Sequence[FileFacts], config: Config, folder: Path) -> Copies:
    """Copies among the images, from ``folder`` if the same images were compared before, in whatever splits."""
    choices = config.data.model_dump(mode="json", include={"window", "max_pixels"})
    name = key(list(image_set.digests), choices, config.audit.search)
    path = folder / f"copies-{name}.npz"
    copies = load_copies(path, len(image_set.digests))
    if copies is None:
        gray = gray_images(image_set, config.data)
        sides = np.array([min(fact.width, fact.height) or SIDE for fact in facts], np.int64)
        copies = find_copies(gray, sides, thorough=config.audit.search == "thorough")
        save_copies(path, copies)
    return copies


def describe_files(facts: Sequence[FileFacts]) -> dict[str, Any]:
    """Number of files of each size, mode and format."""
    sizes = Counter(f"{fact.width}x{fact.height}" for fact in facts)
    return {
        "sizes": dict(sizes.most_common(SHOWN_SIZES)),
        "n_sizes": len(sizes),
        "modes": dict(Counter(fact.mode for fact in facts).most_common()),
        "formats": dict(Counter(fact.format for fact in facts).most_common()),
        "bytes": sum(fact.bytes for fact in facts),
    }


def several_images(table: SampleTable) -> int:
    """Number of patients with more than one image."""
    return sum(n > 1 for n in Counter(sample.group for sample in table.samples if sample.group).values())
