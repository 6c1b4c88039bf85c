"""Audit a data set: python -m medcls.audit data=folder data.root=/path/to/images [key=value ...].

Prints the findings and writes audit.json and audit.html. Keys are those of train.py (conf/config.yaml). Exit status: 0,
1 where training images or their patients are also in validation or test (unless audit.on_leak is warn or drop), 2 for a
mistake in the command.
"""

import argparse
import logging
import sys
from pathlib import Path

from medcls.command import composed, readable_errors, telling_mistakes
from medcls.config import Config, check_config


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m medcls.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--folder", type=Path, help="where audit.json and audit.html go (runs/audit_<data>)")
    options = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    return audit_data(check_config(composed("audit", options.overrides)), options.folder)


def audit_data(config: Config, folder: Path | None) -> int:
    """Make the audit, show it and write it; returns the exit status."""
    from medcls.audit.console import print_findings
    from medcls.audit.gate import audit_images
    from medcls.sources.load import load_image_set
    from medcls.sources.location import check_outside_images

    folder = folder or Path("runs") / f"audit_{config.data.title}"
    check_outside_images("--folder", folder, config.data)
    # Files that cannot be read are a finding here, and no reason to stop.
    data = config.data.model_copy(update={"on_unreadable": "skip"})
    image_set = load_image_set(data, config.image_size)
    audit = audit_images(image_set, config.model_copy(update={"data": data}))
    print_findings(audit.findings)
    folder.mkdir(parents=True, exist_ok=True)
    audit.write(folder)
    print(f"\n{folder / 'audit.html'}")
    return 1 if audit.findings["leaks"]["training"] and config.audit.on_leak == "stop" else 0


if __name__ == "__main__":
    with readable_errors(), telling_mistakes():
        sys.exit(main())
