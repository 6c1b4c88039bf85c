"""Time and peak memory for tens of thousands of small images: first start (empty cache) and later ones.

    python benchmarks/many_images.py --source /path/to/MedNIST [--images 58000] [--size 64]

The images are distinct edits (shifted, turned, brighter or darker, with grain) of those below ``--source``, as gray
JPEG files. Each start is a process of its own, which scans the folder and loads the cache as a run does.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from medcls.data.cache import load_images
from medcls.data.folder import image_names, scan_folder


def main() -> None:
    """Write the images to a temporary folder, start twice, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--images", type=int, default=58_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start is not None:
        print(json.dumps(start(options.start / "images", options.start / "cache", options.size)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_edits(options.source, Path(folder, "images"), options.images)
        for name in ("empty cache", "full cache", "full cache"):
            command = [sys.executable, __file__, "--source", ".", "--size", str(options.size), "--start", folder]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(
                f"{name}: {found['images']:,} images, {found['scan']:.2f} s to scan, {found['load']:.2f} s to load; "
                f"peak memory {found['peak']:.0f} MB: {found['array']:.0f} MB the images, "
                f"{found['before']:.0f} MB Python and its packages"
            )


def start(root: Path, cache_dir: Path, size: int) -> dict[str, float]:
    """Seconds and megabytes of one start."""
    before = peak()
    began = time.perf_counter()
    table = scan_folder(root, None, val_fraction=0.2, split_seed=0)
    scanned = time.perf_counter()
    names = [sample.name for sample in table.samples]
    loaded = load_images(root, names, image_size=size, channels=1, cache_dir=cache_dir)
    return {
        "images": len(loaded.images),
        "scan": scanned - began,
        "load": time.perf_counter() - scanned,
        "peak": peak(),
        "array": loaded.images.nbytes / 1e6,
        "before": before,
    }


def peak() -> float:
    """Most memory that this process has held, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def write_edits(source: Path, target: Path, count: int) -> None:
    """``count`` edited copies of the images below ``source``, in the folders of theirs."""
    rng = np.random.default_rng(0)
    names = image_names(source)
    originals = [cv2.imread(str(source / name), cv2.IMREAD_GRAYSCALE) for name in names]
    for i in range(count):
        name, image = Path(names[i % len(names)]), originals[i % len(names)]
        height, width = image.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.95, 1.1))
        turn[:, 2] += rng.uniform(-3, 3, 2)
        edited = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
        edited = edited * rng.uniform(0.85, 1.15) + rng.normal(0, 2, image.shape)
        path = target / name.parent / f"{name.stem}_{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), edited.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
