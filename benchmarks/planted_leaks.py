"""How many of the training images planted among the test images the audit finds, and how many false alarms it raises.

    python benchmarks/planted_leaks.py /path/to/Skin /path/to/Knee [--each 50] [--image-size 128] [--pictures FOLDER]

Each folder, with train/ and test/, is copied, and edited training images are put among the test images of the copy:
``--each`` of every kind below, no training image twice, none that already has a copy. The audit is the command itself
with the default thresholds. Reported pairs that were neither planted nor reported before planting are false alarms.
``--pictures`` writes them, and the pairs reported before planting, side by side for inspection.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from medcls.sources.image_folder import image_names

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
Pair = frozenset[str]


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Shrunk to between 40 % and 90 % of its size, or enlarged to between 110 % and 160 %."""
    scale = rng.uniform(0.4, 0.9) if rng.random() < 0.7 else rng.uniform(1.1, 1.6)
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, filters[rng.integers(len(filters))])


def rotated(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotated by 90, 180 or 270 degrees."""
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return image.transpose(turns[rng.integers(len(turns))])


def flipped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Mirrored left to right or top to bottom."""
    return ImageOps.mirror(image) if rng.random() < 0.5 else ImageOps.flip(image)


def brightened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brighter by 15 % to 60 %, clipped; in a third of the cases darker by 15 % to 40 %."""
    factor = rng.uniform(1.15, 1.6) if rng.random() < 2 / 3 else rng.uniform(0.6, 0.85)
    return ImageEnhance.Brightness(image).enhance(factor)


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Up to 6 % cropped at each edge, and resized to the original size."""
    left, right, top, bottom = rng.uniform(0, 0.06, 4)
    box = (left * image.width, top * image.height, (1 - right) * image.width, (1 - bottom) * image.height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def unchanged(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Unchanged: only compression alters it."""
    return image


def all_at_once(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightened, rotated, mirrored and resized."""
    return resized(flipped(rotated(brightened(image, rng), rng), rng), rng)


EDITS: dict[str, Edit] = {
    "recompressed": unchanged,
    "resized": resized,
    "rotated": rotated,
    "flipped": flipped,
    "brightened": brightened,
    "all at once": all_at_once,
    "cropped": cropped,
}
RECOMPRESSED = ("recompressed", "all at once")  # as JPEG of quality 30 to 80, the others of quality 90 or lossless


def main() -> None:
    """Measure each folder and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    for source in options.sources:
        with tempfile.TemporaryDirectory() as temporary:
            measure(source, Path(temporary), options)


def measure(source: Path, working: Path, options: argparse.Namespace) -> None:
    """Plant, audit before and after, and print the table of one folder."""
    root = working / source.name
    shutil.copytree(source, root)
    already = pairs_of(audit(root, options.image_size, working))
    planted = plant(root, already, options.each, np.random.default_rng(options.seed))
    findings = audit(root, options.image_size, working)
    reported = pairs_of(findings)
    true = {frozenset(pair) for pair in planted}
    strange = [pair for pair in reported if pair not in true and pair not in already]
    report(source.name, findings["images"], planted, reported, strange, already)
    if options.pictures is not None and (strange or already):
        options.pictures.mkdir(parents=True, exist_ok=True)
        side_by_side(root, [*strange, *already], options.pictures / f"{source.name}.png")


def audit(root: Path, image_size: int, working: Path) -> dict[str, Any]:
    """Content of audit.json for a folder of images."""
    where = [f"data.root={root}", f"data.cache_dir={working / 'cache'}", "data=folder", f"image_size={image_size}"]
    command = [sys.executable, "-m", "medcls.audit", *where, "--folder", str(working / "audit"), "audit.on_leak=warn"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    findings: dict[str, Any] = json.loads((working / "audit/audit.json").read_text(encoding="utf-8"))
    if findings["copies"]["pairs"] > len(findings["copies"]["listed"]):
        raise SystemExit(f"{root.name}: {findings['copies']['pairs']} pairs, more than audit.json lists")
    return findings


def pairs_of(findings: dict[str, Any]) -> list[Pair]:
    """The reported pairs, by file name."""
    return [frozenset(pair[which]["name"] for which in ("first", "second")) for pair in findings["copies"]["listed"]]


def plant(root: Path, already: list[Pair], each: int, rng: np.random.Generator) -> dict[tuple[str, str], str]:
    """Put edited training images among the test images; (name, name of the original) -> kind."""
    copied = frozenset().union(*already)
    originals = [name for name in image_names(root) if name.startswith("train/") and name not in copied]
    if len(originals) < each * len(EDITS):
        raise SystemExit(f"{root.name}: {len(originals)} training images, expected {each * len(EDITS)} at least")
    chosen = iter(rng.permutation(originals).tolist())
    planted = {}
    for kind, edit in EDITS.items():
        for _ in range(each):
            original = next(chosen)
            path = Path("test", *Path(original).parts[1:])
            compressed = kind in RECOMPRESSED
            name = path.with_name(f"{path.stem}_{kind.replace(' ', '-')}{'.jpg' if compressed else path.suffix}")
            with Image.open(root / original) as image:
                quality = int(rng.integers(30, 81)) if compressed else 90
                edit(image, rng).save(root / name, quality=quality)
            planted[name.as_posix(), original] = kind
    return planted


def report(
    title: str,
    n_images: int,
    planted: dict[tuple[str, str], str],
    reported: list[Pair],
    strange: list[Pair],
    already: list[Pair],
) -> None:
    """Print recall and false alarms per kind, and the pairs to be inspected."""
    found = Counter(kind for pair, kind in planted.items() if frozenset(pair) in reported)
    kind_of = {name: kind for (name, _), kind in planted.items()}
    alarms: dict[str, int] = defaultdict(int)
    for pair in strange:
        for kind in {kind_of[name] for name in pair if name in kind_of} or {"none"}:
            alarms[kind] += 1
    print(f"\n{title}: {n_images} images with the planted ones, {n_images * (n_images - 1) // 2:,} pairs")
    print(f"{'kind':<14}{'planted':>8}{'found':>8}{'recall':>8}{'false alarms with one':>23}")
    for kind in EDITS:
        n = sum(k == kind for k in planted.values())
        print(f"{kind:<14}{n:>8}{found[kind]:>8}{found[kind] / n:>8.0%}{alarms[kind]:>23}")
    print(f"pairs reported before planting: {len(already)}; new pairs without a planted image: {alarms['none']}")
    for what, pairs in (
        ("missed", [frozenset(p) for p in planted if frozenset(p) not in reported]),
        ("not planted", strange),
    ):
        for pair in pairs:
            print(f"  {what}: {' | '.join(sorted(pair))}")


def side_by_side(root: Path, pairs: list[Pair], path: Path, side: int = 256) -> None:
    """Write one picture of pairs of images, two pairs per row."""
    sheet = Image.new("RGB", (4 * side + 20, (side + 20) * -(-len(pairs) // 2)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, pair in enumerate(pairs):
        x, y = (2 * side + 20) * (i % 2), (side + 20) * (i // 2)
        draw.text((x, y + 4), "  |  ".join(Path(name).name for name in sorted(pair)), fill="black")
        for k, name in enumerate(sorted(pair)):
            with Image.open(root / name) as image:
                sheet.paste(image.convert("RGB").resize((side, side)), (x + k * side, y + 20))
    sheet.save(path)


if __name__ == "__main__":
    main()
