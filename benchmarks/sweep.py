"""How much faster the jobs of a sweep are several at a time than one after another, and than as many single runs.

    python benchmarks/sweep.py [--nets lenet,alexnet,vgg16] [--rounds 3] [--epochs 7] [--jobs 4] [--images 400,100]
        [--accelerator gpu] [--json FILE]

Each is python sweep.py as a user starts it: one net with ``--jobs`` seeds, images in the cache, with history,
checkpoints, TensorBoard and the report. They take turns, in a different order every round, and a ratio is the median
over rounds of the ratio within a round, since machines drift.

one job                       a sweep of one seed
one at a time                 one job after another; on a CPU with both cores (trainer.threads=2)
one at a time, one thread     the same with trainer.threads=1 (CPU only)
several at a time             on a CPU sweep.jobs=2 with trainer.threads=1; on a GPU as many as its memory holds

Training alone: epochs per minute and job, from the seconds of each epoch in history.csv without the first of each job.
The whole command: from start to end, with imports and the report, and the processor time of all its processes (Linux).
The benchmark checks that several at a time give exactly the numbers of one at a time with as many threads.
"""

import argparse
import csv
import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from contenders.job import BATCH_SIZE, IMAGE_SIZE, NETS
from images import prepare
from machine import describe_machine, machine_line
from training import image_counts, median_and_range, names_among, overrides, rotated, surroundings

SWEEP = Path(__file__).resolve().parent.parent / "sweep.py"
JOB, ONE, ONE_THREAD, SEVERAL = "one job", "one at a time", "one at a time, one thread", "several at a time"
WAYS = {
    "cpu": {
        JOB: ("sweep.jobs=1", "trainer.threads=2"),
        ONE: ("sweep.jobs=1", "trainer.threads=2"),
        ONE_THREAD: ("sweep.jobs=1", "trainer.threads=1"),
        SEVERAL: ("sweep.jobs=2", "trainer.threads=1"),
    },
    "gpu": {
        JOB: ("sweep.jobs=1", "trainer.threads=1"),
        ONE: ("sweep.jobs=1", "trainer.threads=1"),
        SEVERAL: ("trainer.threads=1",),
    },
}
SAME = {"cpu": ONE_THREAD, "gpu": ONE}  # whose numbers several at a time have
UNCOUNTED = 1  # epochs of each job: threads start, memory is allocated
PR_SET_CHILD_SUBREAPER = 36  # of prctl(2): processes that outlive the command are this one's to wait for

# Per net and way, what each round measured: epochs per minute of a job, seconds and processor seconds of the command.
Rounds = dict[str, dict[str, list[dict[str, float]]]]


def main() -> None:
    """Write the images, run the sweeps each way in rotation, print the tables."""
    options = command_line()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    machine, today = describe_machine(options.accelerator), date.today().isoformat()
    ways = WAYS[options.accelerator]
    measured: Rounds = {net: {way: [] for way in ways} for net in options.nets}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        prepare(data, *options.images)
        for net in options.nets:
            for turn in range(options.rounds):
                measure_round(net, rotated(list(ways), turn), data, options, measured[net])
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
    parser.add_argument("--epochs", type=int, default=7, help="of each job, at least 2")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--images", type=image_counts, default=(400, 100), help="for training, for validation")
    parser.add_argument("--accelerator", choices=list(WAYS), default="cpu")
    parser.add_argument("--json", type=Path, help="file for the raw numbers")
    return parser.parse_args()


def measure_round(
    net: str, ways: Sequence[str], data: Path, options: argparse.Namespace, measured: dict[str, list[dict[str, float]]]
) -> None:
    """Run a net's sweep each way and add what was measured; raises SystemExit if the numbers are not the same."""
    numbers = {}
    for way in ways:
        with tempfile.TemporaryDirectory(dir=data) as working:
            seconds, processor = run_sweep(net, way, data, Path(working), options)
            rows = {path.parent.name: read(path) for path in sorted(Path(working).glob("sweep/*/history.csv"))}
        pace = statistics.median(float(row["seconds"]) for job in rows.values() for row in job[UNCOUNTED:])
        measured[way].append({"epochs_a_minute": 60 / pace, "seconds": seconds, "processor": processor})
        speed = f"{60 / pace:.1f} epochs per minute and job, {seconds:.1f} s in total, {processor:.1f} s of processors"
        print(f"{net}, round {len(measured[way])}, {way}: {speed}", file=sys.stderr, flush=True)
        numbers[way] = {
            job: [{key: value for key, value in row.items() if key != "seconds"} for row in found]
            for job, found in rows.items()
        }
    same = SAME[options.accelerator]
    if len(numbers[SEVERAL]) != options.jobs or numbers[SEVERAL] != numbers[same]:
        raise SystemExit(f"{net}: {SEVERAL} does not give the numbers of {same}")


def run_sweep(net: str, way: str, data: Path, working: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds and processor seconds of the command, in a new folder; raises SystemExit with its output if it fails."""
    asked = overrides(net, data, options.epochs, options.accelerator)
    seeds = f"seed={','.join(map(str, range(1 if way == JOB else options.jobs)))}"
    arguments = [o for o in asked if not o.startswith(("hydra.run.dir=", "trainer.threads="))]
    arguments += [seeds, "hydra.sweep.dir=sweep", *WAYS[options.accelerator][way]]
    log = working / "output.txt"
    with log.open("w") as output:
        began, used = time.monotonic(), processor_seconds()
        ended = subprocess.run(
            [sys.executable, str(SWEEP), *arguments],
            cwd=working,
            env=surroundings(data, options.accelerator, tensorflow=False),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        seconds = time.monotonic() - began
    if ended.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([f"{way} failed with status {ended.returncode}:", *lines]))
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return seconds, processor_seconds() - used


def processor_seconds() -> float:
    """Of all processes that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(history: Path) -> list[dict[str, str]]:
    """Rows of a history.csv as text."""
    with history.open(newline="") as file:
        return list(csv.DictReader(file))


def report(measured: Rounds, options: argparse.Namespace, machine: str) -> None:
    """Print a table of times, one of ratios, and what they were measured on."""
    nets: list[str] = options.nets
    ways = WAYS[options.accelerator]
    head = f"{' | '.join(f'{net}, n_base {NETS[net].n_base}' for net in nets)} |\n|---|{'---:|' * len(nets)}"
    print(f"| seconds of the whole command (of processors; epochs per minute and job) | {head}")
    for way in ways:
        cells = []
        for net in nets:
            seconds, used, pace = (
                statistics.median(found[key] for found in measured[net][way])
                for key in ("seconds", "processor", "epochs_a_minute")
            )
            cells.append(f"{seconds:.1f} ({used:.1f}; {pace:.0f})")
        print(f"| {way} | {' | '.join(cells)} |")
    print(f"\n| whole command: median (lowest - highest round) | {head}")
    for title, ours, theirs in (
        *((f"throughput of {SEVERAL} / {way}", way, SEVERAL) for way in ways if way not in (JOB, SEVERAL)),
        *((f"seconds of {options.jobs} jobs, {way} / {JOB}", way, JOB) for way in (ONE, SEVERAL)),
    ):
        print(f"| {title} | {' | '.join(ratio(measured[net][ours], measured[net][theirs]) for net in nets)} |")
    n_train, n_val = options.images
    print(
        f"\n{options.jobs} jobs of {options.epochs} epochs, {options.rounds} rounds; {n_train} training and {n_val} "
        f"validation images of 1x{IMAGE_SIZE}x{IMAGE_SIZE}, batch size {BATCH_SIZE}, {options.accelerator}. The "
        f"numbers of {SEVERAL} and {SAME[options.accelerator]} are the same.\n{machine}"
    )


def ratio(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    """Ratio of the seconds, round by round: median and range."""
    found = [our["seconds"] / their["seconds"] for our, their in zip(ours, theirs, strict=True)]
    return median_and_range(found)


if __name__ == "__main__":
    main()
