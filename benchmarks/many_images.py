"""Time and peak memory for tens of thousands of small images: the first start (nothing cached) and later ones.

    python benchmarks/many_images.py --source /path/to/MedNIST [--images 58000] [--size 64]

The images are made of pairs of those below ``--source``, bent and laid over one another, so that no two are copies;
gray JPEG files. Each start is a separate process, which scans the folder, loads the images and audits them as runs do.
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
from numpy.typing import NDArray

from medcls.audit.gate import audit_images
from medcls.composition.run_name import register_resolvers
from medcls.config import check_config
from medcls.sources.image_folder import find_files
from medcls.sources.load import load_image_set

CONF = Path(__file__).resolve().parents[1] / "conf"


def main() -> None:
    """Write the images to a temporary folder, start three times, print a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--images", type=int, default=58_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--search", default="thorough", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start is not None:
        print(json.dumps(start(options.start / "images", options.start / "cache", options.size, options.search)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_edits(options.source, Path(folder, "images"), options.images)
        for name, search in (("quick", "quick"), ("thorough", "thorough"), ("again", "thorough")):
            command = [sys.executable, __file__, "--source", ".", "--size", str(options.size), "--start", folder]
            command += ["--search", search]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            print(
                f"{name}: {found['images']:,} images, {found['load']:.1f} s to load, {found['audit']:.1f} s to audit, "
                f"{found['cpu']:.0f} s of processor time "
                f"({found['pairs']:,} pairs of copies); peak memory {found['loaded']:.0f} MB after loading, "
                f"{found['audited']:.0f} MB after the audit: {found['array']:.0f} MB the images, "
                f"{found['before']:.0f} MB Python and its packages",
                flush=True,
            )


def start(root: Path, cache_dir: Path, size: int, search: str) -> dict[str, float]:
    """Seconds and megabytes of one start."""
    register_resolvers()
    overrides = ["data=folder", f"data.root={root}", f"data.cache_dir={cache_dir}", f"image_size={size}"]
    overrides.append(f"audit.search={search}")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = check_config(compose("config", overrides=overrides))
    before, began = peak(), time.perf_counter()
    image_set = load_image_set(config.data, config.image_size)
    loaded, audit_began, busy = peak(), time.perf_counter(), time.process_time()
    findings = audit_images(image_set, config).findings
    return {
        "images": len(image_set.images),
        "load": audit_began - began,
        "audit": time.perf_counter() - audit_began,
        "cpu": time.process_time() - busy,
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
    """Write ``count`` distinct images: each two of those below ``source``, bent at random and laid over one another."""
    rng = np.random.default_rng(0)
    names = rng.permutation(find_files(source).names).tolist()
    originals = [cv2.imread(str(source / name), cv2.IMREAD_GRAYSCALE) for name in names]
    for i in range(count):
        name, other = Path(names[i % len(names)]), originals[rng.integers(len(names))]
        image = originals[i % len(names)]
        other = cv2.resize(other, image.shape[::-1])
        edited = bent(image, rng) * 0.6 + bent(other, rng) * 0.4 + rng.normal(0, 2, image.shape)
        path = target / name.parent / f"{name.stem}_{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), edited.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def bent(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """An image whose pixels were moved smoothly, by up to about a tenth of its side."""
    height, width = image.shape
    moves = rng.normal(0, 0.06 * width, (2, 5, 5)).astype(np.float32)
    across, down = (cv2.resize(move, (width, height), interpolation=cv2.INTER_CUBIC) for move in moves)
    column, row = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(
        cv2.remap(image, column + across, row + down, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT), np.float32
    )


if __name__ == "__main__":
    main()
