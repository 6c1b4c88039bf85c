"""What ours adds to our own plain loop, per step and per epoch, with a net that costs nothing (contenders/nothing.py).

    python benchmarks/overhead.py [--rounds 5]

Epochs of 125 and of 500 steps: what grows with them is of the steps, the rest of the epoch, which includes validation,
files and TensorBoard. Contenders take turns; medians over rounds of each one's difference to the plain loop in the same
round, in wall time and in CPU time, which other programs on the machine disturb less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

from machine import describe_machine, machine_line

SCRIPT = Path(__file__).resolve().parent / "contenders/nothing.py"
BATCH_SIZE, SIZES, EPOCHS, UNCOUNTED = 8, (1000, 4000), 14, 3
KINDS = {"ours": "auto", "ours, one step per batch of Lightning's": "single"}


def main() -> None:
    """Take turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    added: dict[str, list[list[float]]] = {name: [] for name in KINDS}
    for _ in range(options.rounds):
        base = costs("plain")
        for name, kind in KINDS.items():
            added[name].append([mine - theirs for mine, theirs in zip(costs(kind), base, strict=True)])
            print(name, [f"{1e3 * value:.3f}" for value in added[name][-1]], file=sys.stderr, flush=True)
    print("| added to the plain loop, ms | per step, wall | per step, CPU | per epoch, wall | per epoch, CPU |")
    print("|---|---:|---:|---:|---:|")
    for name, rounds in added.items():
        step_wall, step_cpu, epoch_wall, epoch_cpu = (
            1e3 * statistics.median(column) for column in zip(*rounds, strict=True)
        )
        print(f"| {name} | {step_wall:.3f} | {step_cpu:.3f} | {epoch_wall:.1f} | {epoch_cpu:.1f} |")
    print(f"\n{options.rounds} rounds. {machine_line(describe_machine('cpu'), date.today().isoformat())}")


def costs(kind: str) -> list[float]:
    """Seconds per step, and per epoch beside its steps, each in wall and in CPU time."""
    few, many = (medians(kind, size) for size in SIZES)
    n_few, n_many = (size // BATCH_SIZE for size in SIZES)
    per_step = [(more - less) / (n_many - n_few) for less, more in zip(few, many, strict=True)]
    return per_step + [less - n_few * step for less, step in zip(few, per_step, strict=True)]


def medians(kind: str, size: int) -> list[float]:
    """Median wall and CPU seconds of an epoch of ``size`` images."""
    command = [sys.executable, str(SCRIPT), kind, str(size), str(EPOCHS)]
    path = os.pathsep.join(filter(None, [str(SCRIPT.parent), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    seconds = json.loads(ended.stdout.splitlines()[-1])[UNCOUNTED:]
    return [statistics.median(column) for column in zip(*seconds, strict=True)]


if __name__ == "__main__":
    main()
