"""What captured steps are worth on a CUDA GPU, and whether they change anything: one script, its parts selectable.

    python benchmarks/gpu.py [--parts equal,killed,refused,precision,epochs,around,training,grid] [--json FILE]
        [--small]

equal      weights, optimiser and history after five epochs: one step per Lightning batch, many, captured
killed     the same for a captured run that is killed ten times and resumed, and how many epochs each kill cost
refused    own nets that no graph can hold: trained step by step all the same, and the line that says so
precision  difference of the training loss of one epoch from that in float64
epochs     seconds per epoch of each way, in other precisions and augmented by 0 and more workers
around     seconds that each part of an epoch takes, of captured runs
training   benchmarks/training.py, one round
grid       sweep.py with eight seeds vs. one, sharing the GPU and in turns; a seed alone vs. in the grid, bit for bit; a
           job of the grid killed

Without a GPU everything runs on the CPU where nothing is captured; ``--small`` is for trying it out there.
"""

import argparse
import csv
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcls.process import tune_process

tune_process()

import torch  # noqa: E402
from images import cache_folder, prepare  # noqa: E402

import medcls  # noqa: E402

HERE = Path(__file__).resolve().parent
TRAIN, SWEEP = HERE.parent / "train.py", HERE.parent / "sweep.py"
ACCELERATOR = "gpu" if torch.cuda.is_available() else "cpu"
WAYS = ("single", "eager", "auto")
ONE_CYCLE = (
    "scheduler=own scheduler._target_=torch.optim.lr_scheduler.OneCycleLR scheduler.interval=batch "
    "+scheduler.args.max_lr=1e-3 +scheduler.args.cycle_momentum=false"
)
EQUAL = {
    "lenet, dropout, class weights": "model=lenet model.dropout=0.4 loss.class_weights=balanced",
    "alexnet, batch norm, augmented": "model=alexnet model.batch_norm=true augment=study num_workers=2",
    "vgg16, accumulated, clipped": f"model=vgg16 {ONE_CYCLE} trainer.accumulate=2 trainer.gradient_clip=1.0",
    "alexnet, bf16": "model=alexnet trainer.precision=bf16-mixed model.spatial_dropout=0.2 scheduler=cosine",
    "vgg16, sgd": "model=vgg16 optimizer=sgd scheduler=plateau scheduler.patience=0",
    "resnet18": "model=torchvision model.name=resnet18",
}
OWN_NETS = """
import random

import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self, n_outputs, in_channels, image_size):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, n_outputs))

    def forward(self, images):
        return self.head(self.body(images))


class Waits(Plain):
    def forward(self, images):
        return super().forward(images) * (2 if images.mean().item() > 0.5 else 1)


class Counts(Plain):
    calls = 0

    def forward(self, images):
        self.calls += 1
        return super().forward(images) * (1 + 1 / self.calls)


class Draws(Plain):
    def forward(self, images):
        return super().forward(images) * random.random()


class Synchronizes(Plain):
    def forward(self, images):
        if images.is_cuda:
            torch.cuda.synchronize()
        return super().forward(images)
"""


class Bench:
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

    def equal(self) -> dict[str, Any]:
        found = {}
        for name, knobs in EQUAL.items():
            runs = {way: self.run(*knobs.split(), f"trainer.steps={way}") for way in WAYS}
            differ = {way: differences(runs["auto"], runs[way]) for way in ("single", "eager")}
            captured = torch.cuda.is_available() and "not captured" not in log_of(runs["auto"])
            found[name] = {"captured": captured, **differ}
        return found

    def killed(self) -> dict[str, Any]:
        knobs = ["model=lenet", "model.dropout=0.4", "epochs=70", "augment=study"]
        alone, folder = self.run(*knobs), self.folder()
        lost = []
        for epoch in range(5, 60, 6):
            words = [f"resume={folder}"] if folder.exists() else [*self.overrides(*knobs), f"hydra.run.dir={folder}"]
            process = subprocess.Popen([sys.executable, str(TRAIN), *words], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            told = 0  # epochs, which may not be on disk yet
            while told < epoch and (line := process.stdout.readline()):
                if found := re.match(r"epoch +(\d+)/", line):
                    told = int(found[1])
            process.send_signal(signal.SIGKILL)
            process.wait()
            lost.append(told - len(rows_of(folder)))
        medcls.resume(folder, show=False)
        return {"epochs lost by each kill": lost, "differences": differences(folder, alone)}

    def refused(self) -> dict[str, Any]:
        (self.data / "own_nets.py").write_text(OWN_NETS)
        sys.path.insert(0, str(self.data))
        found = {}
        for name in ("Plain", "Waits", "Counts", "Draws", "Synchronizes"):
            knobs = ("model=own", f"model._target_=own_nets.{name}")
            auto, eager = (self.run(*knobs, f"trainer.steps={way}") for way in ("auto", "eager"))
            lines = [line for line in log_of(auto).splitlines() if "not captured" in line]
            found[name] = {"lines": lines, "differences": differences(auto, eager)}
        return found

    def precision(self) -> dict[str, Any]:
        losses = {}
        for name in ("64-true", "32-true", *(("tf32",) if torch.cuda.is_available() else ()), "bf16-mixed"):
            run = self.run("model=vgg16", "epochs=1", f"trainer.precision={name}")
            losses[name] = float(rows_of(run)[0]["train_loss"])
        return {name: loss - losses["64-true"] for name, loss in losses.items()}

    def times(self) -> dict[str, Any]:
        found = {}
        for net in ("lenet", "alexnet", "vgg16"):
            model = [f"model={net}", "model.n_base=16" if net == "lenet" else "model.n_base=8"]
            ways = {way: (f"trainer.steps={way}",) for way in WAYS} | {
                "bf16": ("trainer.precision=bf16-mixed",),
                **({"tf32": ("trainer.precision=tf32",)} if torch.cuda.is_available() else {}),
                "augmented": ("augment=study",),
                "augmented, 4 workers": ("augment=study", "num_workers=4"),
                "augmented, 12 workers": ("augment=study", "num_workers=12"),
            }
            found[net] = {name: seconds(self.run(*model, *knobs, "epochs=10")) for name, knobs in ways.items()}
        return found

    def around(self) -> dict[str, Any]:
        with timed_parts() as parts:
            self.run("model=lenet", "model.n_base=16", "epochs=12")
        return {name: {"calls": len(all_), "median ms": 1e3 * statistics.median(all_)} for name, all_ in parts.items()}

    def training(self) -> str:
        contenders = "ours,ours augmented,plain,plain captured,usual lightning"
        options = ["--images", "60,20", "--nets", "lenet"] if self.small else ["--nets", "lenet,vgg16"]
        command = [sys.executable, str(HERE / "training.py"), "--rounds", "1", "--epochs", "4", *options]
        return said([*command, "--accelerator", ACCELERATOR, "--contenders", contenders])

    def grid(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for net in ("lenet", "vgg16"):
            runs: dict[str, dict[str, Path]] = {}
            for way, seeds in (("one", 1), ("eight", 8), ("eight in turns", 8)):
                began = time.monotonic()
                runs[way] = self.sweep(net, seeds, share="turns" not in way)
                each = statistics.median(map(seconds, runs[way].values()))
                found[f"{net}, {way}"] = {"whole command": time.monotonic() - began, "epoch of each": each}
            for way in ("eight", "eight in turns"):
                found[f"{net}, {way}"]["differences from one"] = differences(runs[way]["0"], runs["one"]["0"])
        killed = self.sweep("vgg16", 8, kill="7")
        states = {seed: json.loads((run / "status.json").read_text())["state"] for seed, run in killed.items()}
        found["vgg16, seed 7 killed"] = {"states": states, "differences": differences(killed["0"], runs["one"]["0"])}
        return found

    def sweep(self, net: str, n_seeds: int, *, share: bool = True, kill: str = "") -> dict[str, Path]:
        """Run folders by seed; ``kill``: seed of a job that gets SIGKILL after some epochs."""
        folder, seeds = self.folder(), ",".join(map(str, range(n_seeds)))
        words = self.overrides(f"model={net}", "model.dropout=0.2", "epochs=40", f"seed={seeds}")
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


PARTS = {
    **{"equal": Bench.equal, "killed": Bench.killed, "refused": Bench.refused, "precision": Bench.precision},
    **{"epochs": Bench.times, "around": Bench.around, "training": Bench.training, "grid": Bench.grid},
}


def main() -> None:
    """Run the parts asked for and print what each found."""
    from training import names_among

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=names_among(PARTS), default=list(PARTS))
    parser.add_argument("--json", type=Path, help="file for what was found")
    parser.add_argument("--small", action="store_true", help="few and small images")
    options = parser.parse_args()
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU, where nothing is captured"
    found: dict[str, Any] = {"device": device, "torch": torch.__version__}
    print(found, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.small)
        for part in options.parts:
            began = time.monotonic()
            try:
                found[part] = PARTS[part](bench)
            except Exception:  # the other parts shall be measured all the same
                found[part] = traceback.format_exc()
            print(f"== {part}: {time.monotonic() - began:.0f} s", flush=True)
            print(found[part] if isinstance(found[part], str) else json.dumps(found[part], indent=1), flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
