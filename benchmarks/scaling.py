"""How the seconds of an epoch grow with the size of the images, their number and the width of the net.

    python benchmarks/scaling.py [--nets lenet,alexnet,vgg16] [--rounds 3] [--epochs 3] [--accelerator gpu]

Each is train.py as a user starts it, in fp32 and batches of 8, on the benchmarks' images; one thing at a time is
changed from 128x128 pixels, 1000 + 200 images and the widths of training.py. They take turns, in a different order
every round; a ratio is the median over rounds of that to the unchanged one within a round. Two epochs are not counted.
"""

import argparse
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from contenders.job import NETS
from images import prepare
from machine import describe_machine, machine_line
from training import TRAIN, UNCOUNTED, counted, median_and_range, names_among, our_answer, overrides, rotated, run

USUAL, FEW, MANY = (1000, 200), (250, 50), (4000, 800)
BASE = "as it is"
# What is changed: overrides, and numbers of images.
CHANGES: dict[str, tuple[list[str], tuple[int, int]]] = {
    BASE: ([], USUAL),
    "32x32 pixels": (["image_size=32"], USUAL),
    "64x64 pixels": (["image_size=64"], USUAL),
    "256x256 pixels": (["image_size=256"], USUAL),
    "half the width": ([], USUAL),
    "twice the width": ([], USUAL),
    "250 + 50 images": ([], FEW),
    "4000 + 800 images": ([], MANY),
}
WIDTHS = {"half the width": 0.5, "twice the width": 2}


def main() -> None:
    """Take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=names_among(NETS), default=list(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="number of counted epochs")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    options = parser.parse_args()
    seconds: dict[str, dict[str, list[float]]] = {net: {name: [] for name in CHANGES} for net in options.nets}
    with tempfile.TemporaryDirectory() as folder:
        for images in (USUAL, FEW, MANY):
            prepare(Path(folder) / str(images[0]), *images)
        for net in options.nets:
            for turn in range(options.rounds):
                for name in rotated(list(CHANGES), turn):
                    seconds[net][name].append(measured(name, net, Path(folder), options))
                    print(f"{net}, round {turn + 1}, {name}: {seconds[net][name][-1]:.2f}", file=sys.stderr, flush=True)
    report(seconds, options)


def measured(name: str, net: str, data: Path, options: argparse.Namespace) -> float:
    """Seconds of an epoch, the median of those counted, of a run in a process and folder of its own."""
    changes, (n_train, _) = CHANGES[name]
    own = data / str(n_train)
    words = [*overrides(net, own, UNCOUNTED + options.epochs, options.accelerator), *changes]
    if name in WIDTHS:
        words.append(f"model.n_base={int(NETS[net].n_base * WIDTHS[name])}")
    with tempfile.TemporaryDirectory(dir=own) as working:
        run("ours", [sys.executable, str(TRAIN), *words], Path(working), own, options)
        return statistics.median(counted(our_answer(Path(working) / "run")))


def report(seconds: dict[str, dict[str, list[float]]], options: argparse.Namespace) -> None:
    """Print seconds and ratios."""
    nets: list[str] = options.nets
    print(f"| {' | '.join(['', *(f'{net}, n_base {NETS[net].n_base}' for net in nets)])} |\n|---|{'---:|' * len(nets)}")
    for name in CHANGES:
        cells = [cell(seconds[net][name], seconds[net][BASE], with_ratio=name != BASE) for net in nets]
        print(f"| {name} | {' | '.join(cells)} |")
    machine = machine_line(describe_machine(options.accelerator), date.today().isoformat())
    print(f"\nSeconds of an epoch, and times those of an unchanged one. {options.rounds} rounds. {machine}")


def cell(found: list[float], base: list[float], *, with_ratio: bool) -> str:
    """Median seconds, and the median ratio with its range."""
    ratios: list[Any] = [one / other for one, other in zip(found, base, strict=True)]
    return f"{statistics.median(found):.2f}" + (f"; {median_and_range(ratios)}" if with_ratio else "")


if __name__ == "__main__":
    main()
