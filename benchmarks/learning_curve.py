"""How often the interval for twice the training images holds what they give, on real images.

    python benchmarks/learning_curve.py /path/to/MedNIST [--repeats 20] [key=value ...]

In each repeat, with parts drawn anew, sweep.py trains LeNet on parts of the training images. From those up to a half,
the metric of all is extrapolated as a report does and compared with what nets trained on all have. Other arguments go
to sweep.py.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from medcls.evaluation.learning_curve import extrapolate
from medcls.sweep_report.design import read_sweep
from medcls.sweep_report.more_data import curves_of

SWEEP = Path(__file__).parents[1] / "sweep.py"
FIXED = ["model=lenet", "model.n_base=8", "image_size=32", "epochs=10", "lr=1e-3", "seed=0,1,2", "data=folder"]
PARTS = "data.train_fraction=0.0625,0.125,0.25,0.5,1"
QUIET = ["audit=none", "logger=none", "logger.pictures=false", "trainer.accelerator=cpu", "trainer.threads=1"]


def repeat_once(root: str, split_seed: int, overrides: list[str]) -> tuple[float, tuple[float, float, float]]:
    """What nets trained on all images have on average, and what was expected of them: low, middle, high."""
    with tempfile.TemporaryDirectory() as folder:
        line = [*FIXED, *QUIET, PARTS, f"data.root={root}", f"data.split.seed={split_seed}", "sweep.jobs=2", *overrides]
        command = [sys.executable, str(SWEEP), *line, f"hydra.sweep.dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sweep = read_sweep(Path(folder))
        (curve,) = curves_of(sweep, "val")[0].values()
        n_validation = len(sweep.runs[0].predictions["val"].names)
    whole = max(curve)
    known = [(size, value) for size, values in curve.items() if size < whole for value in values]
    found = extrapolate(*zip(*known, strict=True), whole, n_validation).value
    return float(np.mean(curve[whole])), (found.low, found.value, found.high)


def main() -> None:
    """Repeat, print each and the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("overrides", nargs="*", help="for sweep.py")
    options = parser.parse_args()
    held, widths = 0, []
    for repeat in range(options.repeats):
        value, (low, middle, high) = repeat_once(options.root, repeat, options.overrides)
        held += low <= value <= high
        widths.append(high - low)
        print(f"{repeat:2}  all: {value:.4f}  expected: {middle:.4f} [{low:.4f}, {high:.4f}]", flush=True)
    print(f"{held} of {options.repeats} intervals hold it; median width {np.median(widths):.4f}")


if __name__ == "__main__":
    main()
