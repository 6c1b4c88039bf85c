"""medcls audit: check the images before anything is trained on them."""

import logging
import sys
from pathlib import Path

from medcls.cli.page import Option, Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Find unreadable files, copies, patients in two splits and shortcuts.\n"
        "Prints the findings and writes audit.json and audit.html. Exit status: 0; 1 if\n"
        "training images or their patients are also in validation or test (unless\n"
        "audit.on_leak is warn or drop); 2 for a mistake in the command."
    ),
    keys=(
        *("data", "data.root", "data.manifest", "data.columns.path", "data.columns.label", "data.columns.split"),
        *("data.columns.group", "data.group_pattern", "data.classes", "data.channels", "data.window"),
        *("data.max_pixels", "data.split.val_fraction", "data.split.seed", "data.split.folds", "data.split.fold"),
        *("data.cache_dir", "image_size", "audit.on_leak", "audit.search", "audit.shortcut_auroc"),
    ),
    own_options=[Option(("--folder",), "DIR", "where audit.json and audit.html go (runs/audit_<data>)")],
    examples=[
        ("data=folder data.root=images", "a folder per class, below train/ and test/ if there is a split"),
        ("data=folder data.root=images data.manifest=labels.csv", "classes, splits and patients from a CSV file"),
        (r'''data=folder data.root=images "data.group_pattern='(\d+)[LR]\.png'"''', "patients from the file names"),
    ],
)


def run(given: Words) -> int:
    """Make the audit, show it and write it; returns the exit status."""
    from medcls.composition.compose import composed
    from medcls.config import check_config

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    config = check_config(composed("audit", given.others))

    from medcls.audit.console import print_findings
    from medcls.audit.gate import audit_images
    from medcls.sources.load import load_image_set
    from medcls.sources.location import check_outside_images

    named = given.options.get("folder")
    folder = Path(str(named)) if named else Path("runs") / f"audit_{config.data.title}"
    check_outside_images("--folder", folder, config.data)
    # Files that cannot be read are a finding here, not a reason to stop.
    data = config.data.model_copy(update={"on_unreadable": "skip"})
    image_set = load_image_set(data, config.image_size)
    audit = audit_images(image_set, config.model_copy(update={"data": data}))
    print_findings(audit.findings)
    folder.mkdir(parents=True, exist_ok=True)
    audit.write(folder)
    print(f"\n{folder / 'audit.html'}")
    return 1 if audit.findings["leaks"]["training"] and config.audit.on_leak == "stop" else 0
