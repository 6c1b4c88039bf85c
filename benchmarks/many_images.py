"""Time and peak memory for tens of thousands of small images: the first start (nothing cached) and later ones.

    python benchmarks/many_images.py --source /path/to/MedNIST [--images 58000] [--size 64]

The images are distinct edits (shifted, rotated, brighter or darker, with grain) of those below ``--source``, as gray
JPEG files. Each start is a separate process, which scans the folder, loads the images and audits them as a run does.
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
from hydra import compose, initialize_config_dir

from medcls.audit.gate import audit_images
from medcls.config import check_config
from medcls.config.run_name import register_resolvers
from medcls.sources.image_folder import find_files
from medcls.sources.load import load_image_set

CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> None:
    """Write the images to a temporary folder, start three times, print a line for each start."""
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
        for name in ("cold", "warm", "warm"):
            command = [sys.executable, __file__, "--source", ".", "--size", str(options.size), "--start", folder]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(
                f"{name}: {found['images']:,} images, {found['load']:.1f} s to load, {found['audit']:.1f} s to audit "
                f"({found['pairs']:,} pairs of copies); peak memory {found['loaded']:.0f} MB after loading, "
                f"{found['audited']:.0f} MB after the audit: {found['array']:.0f} MB the images, "
                f"{found['before']:.0f} MB Python and its packages",
                flush=True,
            )


def start(root: Path, cache_dir: Path, size: int) -> dict[str, float]:
    """Seconds and megabytes of one start."""
    register_resolvers()
    overrides = ["data=folder", f"data.root={root}", f"data.cache_dir={cache_dir}", f"image_size={size}"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = check_config(compose("config", overrides=overrides))
    before, began = peak(), time.perf_counter()
    image_set = load_image_set(config.data, config.image_size)
    loaded, audit_began = peak(), time.perf_counter()
    findings = audit_images(image_set, config).findings
    return {
        "images": len(image_set.images),
        "load": audit_began - began,
        "audit": time.perf_counter() - audit_began,
        "pairs": findings["copies"]["pairs"],
        "loaded": loaded,
        "audited": peak(),
        "array": image_set.images.nbytes / 1e6,
        "before": before,
    }


def peak() -> float:
    """Peak memory of this process in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def write_edits(source: Path, target: Path, count: int) -> None:
    """Write ``count`` edited copies of the images below ``source``, in the same sub-folders."""
    rng = np.random.default_rng(0)
    names = find_files(source).names
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
