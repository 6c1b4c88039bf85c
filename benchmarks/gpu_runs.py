"""What benchmarks/gpu.py trains, on the same simulated images, and how it looks at what came out."""

import csv
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from images import cache_folder, prepare

import medcls

HERE = Path(__file__).resolve().parent
TRAIN, SWEEP = HERE.parent / "train.py", HERE.parent / "sweep.py"
ACCELERATOR = "gpu" if torch.cuda.is_available() else "cpu"


class Runs:
    """Runs on the same images, ``n_images`` for training and a fifth as many for validation, below ``data``."""

    def __init__(self, data: Path, small: bool) -> None:
        self.data, self.small = data, small
        self.size, self.n_images, self.epochs = (32, 60, 3) if small else (128, 1000, 5)
        self.made = 0
        prepare(data, self.n_images, self.n_images // 5)
        os.environ["MEDCLS_CACHE"] = str(cache_folder(data))

    def overrides(self, *more: str) -> list[str]:
        """Arguments of a run."""
        sizes = [f"image_size={self.size}", f"epochs={self.epochs}", "batch_size=8", "lr=1e-4"]
        found = ["data=folder", f"data.root={self.data / 'images'}", f"trainer.accelerator={ACCELERATOR}", *sizes]
        return [*found, "audit=none", *more]

    def folder(self) -> Path:
        """A new run folder."""
        self.made += 1
        return self.data / f"run{self.made}"

    def run(self, *more: str) -> Path:
        """Train in this process; returns the run folder."""
        folder = self.folder()
        medcls.train(medcls.compose(*self.overrides(*more)), folder, show=False)
        return folder

    def sweep(self, net: str, n_seeds: int, *, share: bool = True, kill: str = "") -> dict[str, Path]:
        """Run folders by seed; ``kill``: seed of a job that gets SIGKILL after some epochs."""
        folder, seeds = self.folder(), ",".join(map(str, range(n_seeds)))
        width = f"model.n_base={16 if net == 'lenet' else 8}"
        words = self.overrides(f"model={net}", width, "model.dropout=0.2", "epochs=24", f"seed={seeds}")
        words += ["sweep.jobs=8"] if kill else []  # all of them at work from the start
        there = os.environ | ({} if share else {"CUDA_MPS_PIPE_DIRECTORY": str(self.data / "no_service")})
        command = [sys.executable, str(SWEEP), *words, f"hydra.sweep.dir={folder}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=there)
        while kill and process.poll() is None:
            victims = [path for path in folder.glob(f"*seed-{kill}*") if len(rows_of(path)) > 5]
            for path in victims:
                os.kill(owner(path / "train.log"), signal.SIGKILL)
                kill = ""
            time.sleep(0.05)
        text = process.communicate()[0]
        print(text[-1500:] if n_seeds > 1 else "", flush=True)
        found = {path.parent.name: path.parent for path in folder.glob("*/history.csv")}
        return {re.sub(r".*seed-(\d+).*", r"\1", name): run for name, run in found.items()}


def seconds(folder: Path) -> float:
    """Median seconds per epoch, but the first two, from the end of one to the end of the next."""
    return statistics.median(float(row["seconds"]) for row in rows_of(folder)[2:])


def owner(file: Path) -> int:
    """A process that has a file open as its output."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd/1").resolve() == file.resolve():
                return int(process.name)
        except OSError:  # ended meanwhile
            continue
    raise SystemExit(f"no process writes {file}")


def said(command: list[str]) -> str:
    """What a command printed. Raises SystemExit with the end of it where it failed."""
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode:
        raise SystemExit(ended.stdout[-3000:])
    return ended.stdout


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Rows of history.csv, none where there is no such file yet."""
    path = folder / "history.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def log_of(folder: Path) -> str:
    """The run's log."""
    return (folder / "train.log").read_text()


def differences(folder: Path, other: Path) -> list[str]:
    """Names of what two runs computed that is not equal bit for bit: weights, optimiser, history."""
    ones, others = (torch.load(path / "checkpoints/last.ckpt", weights_only=True) for path in (folder, other))
    found = [name for name, weight in ones["state_dict"].items() if not torch.equal(weight, others["state_dict"][name])]
    states = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (ones, others))
    for number, (mine, theirs) in enumerate(zip(*(list(state.values()) for state in states), strict=True)):
        found += [f"optimizer {number} {key}" for key in mine if not torch.equal(mine[key], theirs[key])]
    for one, another in zip(rows_of(folder), rows_of(other), strict=True):
        found += [f"epoch {one['epoch']} {key}" for key in one if key != "seconds" and one[key] != another[key]]
    return found


@contextmanager
def timed_parts() -> Iterator[dict[str, list[float]]]:
    """Seconds of each call of the parts of an epoch while the block runs, by name."""
    from pytorch_lightning import Trainer
    from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop
    from pytorch_lightning.loops.fit_loop import _FitLoop

    from medcls.engine.steps import ManySteps
    from medcls.host.progress import Progress
    from medcls.tensorboard.callback import TensorBoard
    from medcls.training.checkpoints import KeepBestAndLast
    from medcls.training.classifier import Classifier
    from medcls.training.history import History
    from medcls.training.randomness import SeedEpochs

    found: dict[str, list[float]] = defaultdict(list)

    def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **options)
            found[name].append(time.perf_counter() - began)
            return result

        return call

    parts = [
        *((_FitLoop, "advance"), (_FitLoop, "on_advance_end"), (ManySteps, "train"), (_EvaluationLoop, "run")),
        *((Classifier, "on_validation_epoch_end"), (SeedEpochs, "on_train_epoch_start"), (Trainer, "save_checkpoint")),
        *((kind, "on_train_epoch_end") for kind in (History, Progress, TensorBoard, KeepBestAndLast)),
        (KeepBestAndLast, "write"),
    ]
    before = [getattr(kind, method) for kind, method in parts]
    for (kind, method), function in zip(parts, before, strict=True):
        setattr(kind, method, timed(function, f"{kind.__name__}.{method}"))
    try:
        yield found
    finally:
        for (kind, method), function in zip(parts, before, strict=True):
            setattr(kind, method, function)
