"""How many edited copies of images planted among the others the audit finds, and what else it reports.

    python benchmarks/planted_leaks.py /path/to/Knee [--each 30] [--seed 0] [--frames 4] [--image-sizes 28 64 128 224]
        [--patients labels.csv:path:patient_id] [--pictures FOLDER]

The folder, with train/ and test/, is copied, and edited training images are put among the test images of the copy:
``--each`` of every kind below, no training image twice (0: none, to count false alarms alone). ``--frames``: every
image is first laid, at a quarter of its contrast, into a dark frame of one of so many designs. The audit is the command
itself with the default settings, at each of the image sizes, which must find the same. Pairs that were not planted are
counted apart where ``--patients`` says that they are of different patients; ``--pictures`` shows them side by side.
"""

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.sources.image_folder import find_files

Pixels = NDArray[np.uint8]
Edit = Callable[[Pixels, np.random.Generator], Pixels]
Pair = frozenset[str]

HEAVY = 30  # JPEG quality of what is only recompressed; combined 50, all others 90


def turned(degrees: float) -> Edit:
    """Turned either way, outside of the image black or the edge repeated."""

    def edit(image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees * rng.choice([-1, 1]), 1)
        border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REPLICATE
        return np.asarray(
            cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_CUBIC, borderMode=border), np.uint8
        )

    return edit


def cropped(share: float) -> Edit:
    """A window of 1 - share of each side, anywhere, at the original size."""

    def edit(image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        rows, columns = round(height * (1 - share)), round(width * (1 - share))
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        part = image[top : top + rows, left : left + columns]
        return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    return edit


def shifted(share: float) -> Edit:
    """Shifted in any direction, what is uncovered black or the edge repeated."""

    def edit(image: Pixels, rng: np.random.Generator) -> Pixels:
        height, width = image.shape[:2]
        angle = rng.uniform(0, 2 * np.pi)
        move = np.array([[1, 0, share * width * np.cos(angle)], [0, 1, share * height * np.sin(angle)]])
        border = cv2.BORDER_CONSTANT if rng.random() < 0.5 else cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(image, move, (width, height), borderMode=border), np.uint8)

    return edit


def toned(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Brighter or darker, of more or less contrast, or of another gamma."""
    levels = image.astype(np.float32) / 255
    kind = rng.integers(3)
    if kind == 0:
        levels = levels * rng.choice([0.6, 0.75, 1.3, 1.5])
    elif kind == 1:
        levels = (levels - levels.mean()) * rng.choice([0.5, 0.7, 1.4]) + levels.mean()
    else:
        levels = levels ** rng.choice([0.5, 0.7, 1.5, 2.0])
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def combined(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Cropped by 10 %, turned by 10 degrees and flipped."""
    return flipped(turned(10)(cropped(0.1)(image, rng), rng), rng)


def flipped(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Mirrored left to right or top to bottom."""
    return np.asarray(cv2.flip(image, int(rng.integers(2))), np.uint8)


EDITS: dict[str, Edit] = {
    "recompressed": lambda image, rng: image,
    "half the size": lambda image, rng: np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=3), np.uint8),
    "by 90 degrees": lambda image, rng: np.ascontiguousarray(np.rot90(image, rng.integers(1, 4))),
    "flipped": flipped,
    "tone": toned,
    "shifted 5 %": shifted(0.05),
    "shifted 10 %": shifted(0.10),
    "cropped 5 %": cropped(0.05),
    "cropped 10 %": cropped(0.10),
    "cropped 20 %": cropped(0.20),
    "turned 5": turned(5),
    "turned 10": turned(10),
    "turned 20": turned(20),
    "turned 30": turned(30),
    "combined": combined,
}


def framed(image: Pixels, design: int, rng: np.random.Generator) -> Pixels:
    """A radiograph at a quarter of its contrast in a dark frame with a burnt-in letter; four designs."""
    side = image.shape[0]
    out = np.full((side, side), (6, 10, 3, 18)[design], np.uint8)
    share, across, down = ((0.62, 0.5, 0.5), (0.7, 0.5, 0.5), (0.55, 0.35, 0.45), (0.66, 0.6, 0.6))[design]
    inner = round(side * share)
    small = cv2.resize(image, (inner, inner), interpolation=cv2.INTER_AREA).astype(np.float32) * 0.25 + 35
    top, left = round((side - inner) * down), round((side - inner) * across)
    window = out[top : top + inner, left : left + inner]
    disc = cv2.circle(np.zeros((inner, inner), np.uint8), (inner // 2, inner // 2), inner // 2, 1, -1) > 0
    where = disc if design == 1 else np.ones_like(disc)  # a round collimator
    window[where] = small[where]
    if design in (0, 3):
        cv2.rectangle(out, (left - 3, top - 3), (left + inner + 2, top + inner + 2), 70, 2)
    if design == 2:
        for row in range(5, side - 5, 10):
            cv2.line(out, (side - 16, row), (side - 6, row), 160, 1)
    at = ((8, 28), (side - 30, 28), (side - 50, side - 12), (8, side - 12))[design]
    cv2.putText(out, "LR"[rng.integers(2)], at, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 230, 2)
    return out


def main() -> None:
    """Plant, audit at each size, print recall of each kind and what else was reported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="FOLDER")
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=0, choices=range(5))
    parser.add_argument("--image-sizes", type=int, nargs="+", default=[128])
    parser.add_argument("--patients")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        working = Path(temporary)
        root = working / options.source.name
        shutil.copytree(options.source, root)
        if options.frames:
            for i, name in enumerate(find_files(root).names):
                write(root / name, framed(read(root / name), i % options.frames, rng), 95)
        planted = plant(root, options.each, rng)
        results = [audit(root, size, working) for size in options.image_sizes]
        copies = results[0]["copies"]
        same = all(other["copies"]["listed"] == copies["listed"] for other in results)
        print(f"{options.source.name}, {options.frames} designs of frames, {results[0]['images']} images, ", end="")
        print(f"sizes {options.image_sizes}: {'the same findings' if same else 'DIFFERENT FINDINGS'}")
        report(copies, planted, patients_of(options.source, options.patients))
        if options.pictures is not None:
            strange = [pair for pair in copies["listed"] if names_of(pair) not in planted]
            side_by_side(root, strange, options.pictures)


def plant(root: Path, each: int, rng: np.random.Generator) -> dict[Pair, str]:
    """Put edited training images among the test images; the two names -> kind."""
    originals = [name for name in find_files(root).names if name.startswith("train/")]
    if len(originals) < each * len(EDITS):
        raise SystemExit(f"{root.name}: {len(originals)} training images, expected {each * len(EDITS)} at least")
    chosen = iter(rng.permutation(originals).tolist())
    planted = {}
    for kind, edit in EDITS.items():
        for _ in range(each):
            original = next(chosen)
            path = Path("test", *Path(original).parts[1:])
            name = path.with_name(f"{path.stem}_{kind.replace(' ', '-').replace('%', '')}.jpg")
            quality = {"recompressed": HEAVY, "combined": 50}.get(kind, 90)
            write(root / name, edit(read(root / original), rng), quality)
            planted[frozenset((name.as_posix(), original))] = kind
    return planted


def read(path: Path) -> Pixels:
    """An image as it is, gray or colour."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def write(path: Path, image: Pixels, quality: int) -> None:
    """Write an image; ``quality`` of a JPEG file."""
    lossy = path.suffix.lower() in (".jpg", ".jpeg")
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality] if lossy else [])


def audit(root: Path, image_size: int, working: Path) -> dict[str, Any]:
    """Content of audit.json for a folder of images, nothing of it from a cache."""
    where = [f"data.root={root}", f"data.cache_dir={working / f'cache{image_size}'}", f"image_size={image_size}"]
    command = [sys.executable, "-m", "medcls.audit", "data=folder", *where, "--folder", str(working / "audit")]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*command, "audit.on_leak=warn"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"  image_size={image_size}: {time.monotonic() - began:.0f} s, {cpu:.0f} s of processor time", flush=True)
    findings: dict[str, Any] = json.loads((working / "audit/audit.json").read_text(encoding="utf-8"))
    copies = findings["copies"]
    if len(copies["listed"]) < copies["pairs"] + copies["doubtful"]:
        raise SystemExit(f"{root.name}: {copies['pairs'] + copies['doubtful']} pairs, more than audit.json lists")
    return findings


def group_with(copies: dict[str, Any], pair: Pair) -> set[str]:
    """Names of all images that the first of a pair is a copy of, directly or through others."""
    group, size = {min(pair)}, 0
    links = [names_of(listed) for listed in copies["listed"] if not listed["doubtful"]]
    while size < len(group):
        size = len(group)
        group |= {name for link in links if link & group for name in link}
    return group


def names_of(pair: dict[str, Any]) -> Pair:
    """The two file names of a pair."""
    return frozenset(pair[which]["name"] for which in ("first", "second"))


def patients_of(source: Path, table: str | None) -> dict[str, str]:
    """Patient of each image by name, from file:column of paths:column of patients."""
    if table is None:
        return {}
    file, path, patient = table.split(":")
    with (source / file).open(newline="") as rows:
        return {row[path]: row[patient] for row in csv.DictReader(rows)}


def report(copies: dict[str, Any], planted: dict[Pair, str], patients: dict[str, str]) -> None:
    """Print how many of each kind were found, as copies or doubtful, and what else was reported."""
    reported = {names_of(pair): pair["doubtful"] for pair in copies["listed"]}
    reported |= {pair: False for pair in planted if pair not in reported and pair <= group_with(copies, pair)}
    of_kind = Counter(planted.values())
    sure, doubtful = (
        Counter(kind for pair, kind in planted.items() if reported.get(pair) is what) for what in (False, True)
    )
    for kind in EDITS if planted else ():
        print(f"  {kind:<15}{sure[kind] + doubtful[kind]:>4} of {of_kind[kind]}, {doubtful[kind]} of them as doubtful")
    print(f"  all            {sum(sure.values()) + sum(doubtful.values()):>4} of {len(planted)}")
    edited = {name for pair in planted for name in pair if name.startswith("test/")}
    for what in (False, True):
        others = [pair for pair in reported if pair not in planted and reported[pair] is what]
        both = sum(len(pair & edited) == 2 for pair in others)
        one = sum(len(pair & edited) == 1 for pair in others)
        different = sum(len({patients[name] for name in pair}) == 2 for pair in others if not pair - patients.keys())
        apart = f", {different} of them of different patients" if patients else ""
        print(
            f"  not planted, {'doubtful' if what else 'as copies'}: {len(others) - one - both} of originals"
            f"{apart}, {one} with one edited, {both} with two"
        )


def side_by_side(root: Path, pairs: list[dict[str, Any]], path: Path, side: int = 160) -> None:
    """Write one picture of pairs of images, four pairs in a row."""
    tiles = []
    for pair in pairs:
        two = [cv2.resize(read_gray(root / pair[which]["name"]), (side, side)) for which in ("first", "second")]
        tile = cv2.copyMakeBorder(np.hstack(two), 0, 16, 0, 6, cv2.BORDER_CONSTANT, value=255)
        text = f"{'? ' if pair['doubtful'] else ''}{pair['similarity']:.3f} {Path(pair['first']['name']).stem}"
        cv2.putText(tile, text, (2, side + 12), 0, 0.4, 0, 1)
        tiles.append(tile)
    if tiles:
        tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % 4)
        cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, len(tiles), 4)]))


def read_gray(path: Path) -> Pixels:
    """An image in gray."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)


if __name__ == "__main__":
    main()
