"""Cross-validated nets trained on shuffled labels: an AUROC above 0.5 in the report would be flattery.

python benchmarks/shuffled_labels.py /path/to/Skin                                  the epoch is chosen
python benchmarks/shuffled_labels.py /path/to/Skin --shufflings 30 --grid 'lr=1e-2,1e-3' 'model.n_base=2,4'
                                                                                    and the best of four variants

Each shuffling is one call of sweep.py on a manifest whose labels are drawn anew; the numbers are those of pooled.csv.
"""

import argparse
import csv
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SWEEP = Path(__file__).parents[1] / "sweep.py"
FIXED = ["model=lenet", "model.n_base=4", "image_size=32", "batch_size=16", "lr=1e-3", "epochs=6", "data.split.folds=5"]
QUIET = [
    "data=folder",
    "audit=none",
    "logger=none",
    "logger.pictures=false",
    "sweep.jobs=2",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
]


def write_manifest(file: Path, images: list[Path], root: Path, rng: random.Random) -> None:
    """List the images with as many labels of either class, drawn without looking at them."""
    labels = ["a", "b"] * (len(images) // 2)
    rng.shuffle(labels)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["path", "label"])
        rows.writerows((image.relative_to(root).as_posix(), label) for image, label in zip(images, labels, strict=True))


def shuffle_once(images: list[Path], root: Path, seed: int, grid: list[str]) -> dict[str, str]:
    """Row of pooled.csv that a reader would quote: the only variant's, or that of the choice made in each fold."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, "shuffled.csv")
        write_manifest(manifest, images, root, random.Random(seed))
        swept = {item.partition("=")[0] for item in grid}
        fixed = [item for item in FIXED if item.partition("=")[0] not in swept]
        command = [sys.executable, str(SWEEP), *fixed, *QUIET, *grid, f"seed={seed}", f"data.split.seed={seed}"]
        command += [f"data.root={root}", f"data.manifest={manifest}", f"hydra.sweep.dir={folder}/sweep"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        with Path(folder, "sweep/pooled.csv").open(newline="") as file:
            return list(csv.DictReader(file))[-1]


def main() -> None:
    """Print the mean, its standard error and the coverage after each shuffling."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--shufflings", type=int, default=100)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--grid", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=1, help="of the first shuffling")
    chosen = parser.parse_args()
    root = chosen.root.resolve()
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    images = sorted(random.Random(0).sample(files, chosen.images))
    found = []
    for number in range(chosen.shufflings):
        row = shuffle_once(images, root, chosen.seed + number, chosen.grid)
        found.append([float(row[key]) for key in ("auroc", "auroc_low", "auroc_high")])
        auroc, low, high = np.array(found).T
        error = auroc.std(ddof=1) / np.sqrt(len(auroc)) if len(found) > 1 else np.nan
        covered = int(((low <= 0.5) & (high >= 0.5)).sum())
        said = f"{len(found)} shufflings: AUROC {auroc.mean():.4f} +- {error:.4f}, {covered} intervals hold 0.5"
        print(f"{said}, median width {np.median(high - low):.3f}; last {row['variant']} {auroc[-1]:.3f}", flush=True)


if __name__ == "__main__":
    main()
