"""Time to turn large JPEG radiographs into small gray images: our first start vs. OpenCV on all cores.

    python benchmarks/decoding.py [--images 60] [--size 128] [--repeats 7]

Ours is all of ``load_images`` with an empty cache: reading, hashing, decoding, writing the cache; OpenCV only reads and
decodes. The contenders take turns, and each ratio is the median of the ratios within a turn, since machines drift.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.process import usable_cores
from medcls.sources.cache import load_images

HEIGHT, WIDTH = 3000, 2500
CORES = usable_cores()


def main() -> None:
    """Write the images to a temporary folder, time the contenders alternately, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    cv2.setNumThreads(1)  # our own threads decode one image each
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "images")
        names = write_radiographs(root, options.images)
        contenders: dict[str, Callable[[], NDArray[np.uint8]]] = {
            "OpenCV, full size": lambda: opencv(root, names, options.size, cv2.IMREAD_GRAYSCALE),
            "OpenCV, reduced by 4": lambda: opencv(root, names, options.size, cv2.IMREAD_REDUCED_GRAYSCALE_4),
            "OpenCV, reduced by 8": lambda: opencv(root, names, options.size, cv2.IMREAD_REDUCED_GRAYSCALE_8),
            "ours, empty cache": lambda: ours(root, names, options.size, Path(tempfile.mkdtemp(dir=folder))),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        images = {name: run() for name, run in contenders.items()}  # also warms the file cache of the system
        for _ in range(options.repeats):
            for name, run in contenders.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
        warm = Path(folder, "warm")
        ours(root, names, options.size, warm)
        start = time.perf_counter()
        ours(root, names, options.size, warm)
        second_start = time.perf_counter() - start
        megabytes = sum((root / name).stat().st_size for name in names) / 1e6 / len(names)
    print(f"{len(names)} JPEG files of {WIDTH}x{HEIGHT}, {megabytes:.2f} MB each, to {options.size}; {CORES} cores")
    report(seconds, images)
    print(f"ours, second start: {second_start * 1e3 / len(names):.3f} ms per image")


def write_radiographs(root: Path, count: int) -> list[str]:
    """JPEG files with smooth shadows, fine structure and film grain, about 1 MB each; their names."""
    root.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32) / HEIGHT
    grain = cv2.GaussianBlur(rng.normal(0, 8, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 0.8)
    names = [f"{i:03d}.jpg" for i in range(count)]
    for name in names:
        a, b, c = rng.uniform(2, 6, 3)
        shadows = 110 + 70 * np.sin(a * x + b * y) * np.cos(c * y) + 20 * np.sin(40 * x) * np.sin(37 * y)
        image = np.clip(shadows + np.roll(grain, int(rng.integers(HEIGHT)), 0), 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / name), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return names


def opencv(root: Path, names: list[str], size: int, flag: int) -> NDArray[np.uint8]:
    """All images as (N, size, size), decoded by OpenCV on all cores."""

    def one(name: str) -> NDArray[np.uint8]:
        image = cv2.imread(str(root / name), flag)
        assert image is not None
        return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)

    with ThreadPoolExecutor(CORES) as pool:
        return np.stack(list(pool.map(one, names)))


def ours(root: Path, names: list[str], size: int, cache: Path) -> NDArray[np.uint8]:
    """All images as (N, size, size), from ``load_images``."""
    return load_images(root, names, image_size=size, channels=1, cache_dir=cache).images[..., 0]


def report(seconds: dict[str, list[float]], images: dict[str, NDArray[np.uint8]]) -> None:
    """Print median times, the ratio of our throughput to each contender's, and the differences in gray levels from the
    full-size decode.
    """
    reference = images["OpenCV, full size"].astype(int)
    our_seconds = seconds["ours, empty cache"]
    print(f"{'':24}{'ms/image':>10}{'ours is':>10}{'mean diff.':>12}{'largest':>9}")
    for name, theirs in seconds.items():
        milliseconds = 1e3 * statistics.median(theirs) / len(reference)
        ratio = statistics.median(b / a for a, b in zip(our_seconds, theirs, strict=True))
        away = np.abs(images[name].astype(int) - reference)
        print(f"{name:24}{milliseconds:10.2f}{ratio:9.2f}x{away.mean():12.3f}{away.max():9d}")


if __name__ == "__main__":
    main()
