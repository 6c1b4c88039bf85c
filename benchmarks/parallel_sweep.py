"""The speed of two jobs of a sweep at a time on two cores, compared with running them one after another.

    python benchmarks/parallel_sweep.py [--nets lenet,alexnet,vgg16] [--rounds 3] [--epochs 6] [--jobs 4]
        [--images 400,100] [--json FILE]

Each is python sweep.py as a user starts it: one net with ``--jobs`` seeds, images in the cache, with history,
checkpoints, TensorBoard and the report. They take turns, in a different order every round, and a ratio is the median
over rounds of the ratio within a round, since machines drift.

one at a time, two threads   one job after another in one process, trainer.threads=2
one at a time, one thread    the same with trainer.threads=1
two at a time                hydra/launcher=joblib hydra.launcher.n_jobs=2, with trainer.threads=1

Training alone: epochs per minute, from the seconds of each epoch in history.csv without the first of each job; doubled
if two run at a time. The whole command: from start to end, with imports and the report. The benchmark checks that two
at a time give exactly the numbers of one at a time with one thread.
"""

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from contenders.job import BATCH_SIZE, IMAGE_SIZE, NETS
from images import prepare
from machine import describe_machine, machine_line
from training import image_counts, names_among, overrides, rotated, surroundings

SWEEP = Path(__file__).resolve().parent.parent / "sweep.py"
ONE_2, ONE_1, TWO = "one at a time, two threads", "one at a time, one thread", "two at a time"
WAYS = {
    ONE_2: ("trainer.threads=2",),
    ONE_1: ("trainer.threads=1",),
    TWO: ("trainer.threads=1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
}
AT_A_TIME = {ONE_2: 1, ONE_1: 1, TWO: 2}
UNCOUNTED = 1  # epochs of each job: threads start, memory is allocated, the other job may still be importing

# Per net and way, what each round measured: epochs per minute and seconds of the whole command.
Rounds = dict[str, dict[str, list[dict[str, float]]]]


def main() -> None:
    """Write the images, run the sweeps each way in rotation, print the tables."""
    options = command_line()
    machine, today = describe_machine("cpu"), date.today().isoformat()
    measured: Rounds = {net: {way: [] for way in WAYS} for net in options.nets}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        prepare(data, *options.images)
        for net in options.nets:
            for turn in range(options.rounds):
                measure_round(net, rotated(list(WAYS), turn), data, options, measured[net])
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        content = {"date": today, "machine": machine, "options": settings, "measured": measured}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    report(measured, options, machine_line(machine, today))


def command_line() -> argparse.Namespace:
    """Options, with names checked and lists split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=names_among(NETS), default=list(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="counted epochs of each job")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--images", type=image_counts, default=(400, 100), help="for training, for validation")
    parser.add_argument("--json", type=Path, help="file for the raw numbers")
    return parser.parse_args()


def measure_round(
    net: str, ways: Sequence[str], data: Path, options: argparse.Namespace, measured: dict[str, list[dict[str, float]]]
) -> None:
    """Run a net's sweep each way and add what was measured; raises SystemExit if the numbers are not the same."""
    numbers = {}
    for way in ways:
        with tempfile.TemporaryDirectory(dir=data) as working:
            seconds = run_sweep(net, way, data, Path(working), options)
            rows = {path.parent.name: read(path) for path in sorted(Path(working).glob("sweep/*/history.csv"))}
        pace = statistics.median(float(row["seconds"]) for job in rows.values() for row in job[UNCOUNTED:])
        measured[way].append({"epochs_a_minute": 60 * AT_A_TIME[way] / pace, "seconds": seconds})
        speed = f"{60 * AT_A_TIME[way] / pace:.1f} epochs per minute, {seconds:.1f} s in total"
        print(f"{net}, round {len(measured[way])}, {way}: {speed}", file=sys.stderr, flush=True)
        numbers[way] = {
            job: [{key: value for key, value in row.items() if key != "seconds"} for row in found]
            for job, found in rows.items()
        }
    if len(numbers[TWO]) != options.jobs or numbers[TWO] != numbers[ONE_1]:
        raise SystemExit(f"{net}: {TWO} does not give the numbers of {ONE_1}")


def run_sweep(net: str, way: str, data: Path, working: Path, options: argparse.Namespace) -> float:
    """Seconds of the command, run in a new folder; raises SystemExit with the end of its output if it fails."""
    asked = overrides(net, data, UNCOUNTED + options.epochs, "cpu")
    seeds = f"seed={','.join(map(str, range(options.jobs)))}"
    arguments = [o for o in asked if not o.startswith("hydra.run.dir=")] + [seeds, "hydra.sweep.dir=sweep", *WAYS[way]]
    log = working / "output.txt"
    with log.open("w") as output:
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, str(SWEEP), *arguments],
            cwd=working,
            env=surroundings(data, "cpu", tensorflow=False),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        seconds = time.monotonic() - began
    if ended.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([f"{way} failed with status {ended.returncode}:", *lines]))
    return seconds


def read(history: Path) -> list[dict[str, str]]:
    """Rows of a history.csv as text."""
    with history.open(newline="") as file:
        return list(csv.DictReader(file))


def report(measured: Rounds, options: argparse.Namespace, machine: str) -> None:
    """Print a table of throughputs, one of ratios, and what they were measured on."""
    nets: list[str] = options.nets
    head = f"{' | '.join(f'{net}, n_base {NETS[net].n_base}' for net in nets)} |\n|---|{'---:|' * len(nets)}"
    print(f"| epochs per minute while training (seconds of the whole command) | {head}")
    for way in WAYS:
        cells = [
            f"{median(measured[net][way], 'epochs_a_minute'):.1f} ({median(measured[net][way], 'seconds'):.0f})"
            for net in nets
        ]
        print(f"| {way} | {' | '.join(cells)} |")
    print(f"\n| throughput of {TWO} / that of: median (lowest - highest round) | {head}")
    for way in (ONE_2, ONE_1):
        for title, key, power in (("training alone", "epochs_a_minute", 1), ("the whole command", "seconds", -1)):
            cells = [ratio(measured[net][TWO], measured[net][way], key, power) for net in nets]
            print(f"| {way}, {title} | {' | '.join(cells)} |")
    n_train, n_val = options.images
    print(
        f"\n{options.jobs} jobs of {UNCOUNTED + options.epochs} epochs, {options.rounds} rounds; {n_train} training "
        f"and {n_val} validation images of 1x{IMAGE_SIZE}x{IMAGE_SIZE}, batch size {BATCH_SIZE}, cpu. The numbers of "
        f"{TWO} and {ONE_1} are the same.\n{machine}"
    )


def median(rounds: Sequence[dict[str, float]], key: str) -> float:
    """Median over rounds."""
    return statistics.median(found[key] for found in rounds)


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], key: str, power: int) -> str:
    """Ratio of throughputs, round by round: median and range; ``power``: -1 for times."""
    found = [(our[key] / their[key]) ** power for our, their in zip(ours, theirs, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} - {max(found):.2f})"


if __name__ == "__main__":
    main()
