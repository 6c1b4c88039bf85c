"""Seconds from the start of ``python train.py`` to the end of its first training step, images already in the cache.

    python benchmarks/startup.py [--repeats 5] [--images 1000,200] [--accelerator gpu] [augment=study ...]

Other arguments go to train.py. For comparison, alternating with it: importing PyTorch Lightning and nothing else.
"""

import argparse
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

TRAIN = Path(__file__).resolve().parent.parent / "train.py"


def main() -> None:
    """Write the images, time the starts, print the medians."""
    from images import prepare
    from machine import describe_machine, machine_line
    from training import image_counts, overrides, surroundings

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--images", type=image_counts, default=(1000, 200), help="for training, for validation")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--net", default="vgg16")
    parser.add_argument("overrides", nargs="*", help="for train.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        prepare(data, *options.images)
        environment = surroundings(data, options.accelerator, tensorflow=False)
        arguments = [*overrides(options.net, data, 1, options.accelerator), *options.overrides]
        ours = [sys.executable, __file__, FIRST_STEP, *arguments]
        imports = [sys.executable, "-c", "import time, pytorch_lightning; print(time.process_time(), time.monotonic())"]
        seconds: dict[str, list[tuple[float, float]]] = {
            "python train.py, to the first step": [],
            "import pytorch_lightning": [],
        }
        for turn in range(options.repeats + 1):
            for found, command in zip(seconds.values(), (ours, imports), strict=True):
                taken = started(command, data, environment)
                if turn > 0:  # the first start also reads all libraries from disk
                    found.append(taken)
    print("| start-up | median seconds | of a processor | all |\n|---|---:|---:|---|")
    for name, found in seconds.items():
        clock, processor = zip(*found, strict=True)
        each = " ".join(f"{second:.2f}" for second in clock)
        print(f"| {name} | {statistics.median(clock):.2f} | {statistics.median(processor):.2f} | {each} |")
    print(f"\n{machine_line(describe_machine(options.accelerator), date.today().isoformat())}")


def started(command: list[str], data: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until the command prints, as its last line, its processor seconds and the clock that processes share.

    Returns those of the clock, then of a processor.
    """
    with tempfile.TemporaryDirectory(dir=data) as folder:
        start = time.monotonic()
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    processor, clock = map(float, ended.stdout.splitlines()[-1].split())
    return clock - start, processor


FIRST_STEP = "--to-the-first-step"


def first_step(arguments: list[str]) -> None:
    """Run train.py and exit after its first step.

    The hook needs the classifier's module, so that its imports happen a little earlier than otherwise, but only once.
    """
    from medcls.process import tune_process

    tune_process()
    from medcls.host.lean_import import import_lightning

    import_lightning()
    from medcls.training.classifier import Classifier

    def end(*_: object) -> None:
        print(time.process_time(), time.monotonic(), flush=True)
        os._exit(0)

    Classifier.on_train_batch_end = end  # type: ignore[assignment]
    sys.argv = [str(TRAIN), *arguments]
    sys.path[0] = str(TRAIN.parent)
    runpy.run_path(str(TRAIN), run_name="__main__")


if __name__ == "__main__":
    if sys.argv[1:2] == [FIRST_STEP]:
        first_step(sys.argv[2:])
    else:
        main()
