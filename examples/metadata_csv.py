"""Image folders as Hugging Face has them: a folder for each split with a metadata.csv (columns file_name and label).

python train.py data=own data._target_=metadata_csv.load data.root=/path/to/images

train/metadata.csv lists train/0001.png and so on. Patients come from another column: +data.args.group=patient
"""

import csv
from pathlib import Path


def load(root: Path, group: str | None = None) -> dict[str, list[str]]:
    """Columns paths (below root), labels, splits and, where their column is named, groups."""
    columns: dict[str, list[str]] = {"paths": [], "labels": [], "splits": []}
    if group is not None:
        columns["groups"] = []
    for file in sorted(root.glob("*/metadata.csv")):
        split = file.parent.name
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                columns["paths"].append(f"{split}/{row['file_name']}")
                columns["labels"].append(row["label"])
                columns["splits"].append(split)
                if group is not None:
                    columns["groups"].append(row[group])
    return columns
