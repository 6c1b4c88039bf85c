"""What captured steps are worth on a CUDA GPU, and whether they change anything: one script, its parts selectable.

    python benchmarks/gpu.py [--parts equal,killed,refused,precision,epochs,around,training,grid] [--json FILE]
        [--small]

equal      weights, optimiser and history after five epochs: one step per Lightning batch, many, captured
killed     the same for a captured run that is killed ten times and resumed, and how many epochs each kill cost
refused    own nets that no graph can hold: trained step by step all the same, and the line that says so
precision  largest difference of a logit from that in float64
epochs     seconds per epoch of each way, in other precisions and augmented by 0 and more workers
around     seconds that each part of an epoch takes, of captured runs
training   benchmarks/training.py, one round
grid       sweep.py with eight seeds vs. one, sharing the GPU and in turns; a seed alone vs. in the grid, bit for bit; a
           job of the grid killed

Without a GPU everything runs on the CPU where nothing is captured; ``--small`` is for trying it out there.
"""

import argparse
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from copy import deepcopy
from pathlib import Path
from typing import Any

from medcls.process import tune_process

tune_process()

import torch  # noqa: E402
from gpu_runs import (  # noqa: E402
    ACCELERATOR,
    HERE,
    TRAIN,
    Runs,
    differences,
    log_of,
    rows_of,
    said,
    seconds,
    timed_parts,
)

import medcls  # noqa: E402
from medcls.training.classifier import load_classifier  # noqa: E402
from medcls.training.device import allow_tf32  # noqa: E402

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


class Parts(Runs):
    """Each part of the measurements."""

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
            announced = 0  # epochs, which may not be on disk yet
            while announced < epoch and (line := process.stdout.readline()):
                if found := re.match(r"epoch +(\d+)/", line):
                    announced = int(found[1])
            process.send_signal(signal.SIGKILL)
            process.wait()
            lost.append(announced - len(rows_of(folder)))
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
        run = self.run("model=vgg16")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        net = load_classifier(run / "checkpoints/best.ckpt").to(device)
        images = torch.randint(0, 256, (64, self.size, self.size, 1), dtype=torch.uint8, device=device)
        found = {}
        with torch.inference_mode():
            exact = deepcopy(net).double()(images)
            for name, rounded in (("32-true", False), ("tf32", True)):
                allow_tf32(rounded)
                found[name] = (net(images) - exact).abs().max().item()
        return found | {"largest logit": exact.abs().max().item()}

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
            ways = {"one": 1, "eight": 8} | ({"eight in turns": 8} if net == "vgg16" else {})
            for way, seeds in ways.items():
                began = time.monotonic()
                runs[way] = self.sweep(net, seeds, share="turns" not in way)
                each = statistics.median(map(seconds, runs[way].values()))
                found[f"{net}, {way}"] = {"whole command": time.monotonic() - began, "epoch of each": each}
            for way in list(ways)[1:]:
                found[f"{net}, {way}"]["differences from one"] = differences(runs[way]["0"], runs["one"]["0"])
        killed = self.sweep("vgg16", 8, kill="7")
        states = {seed: json.loads((run / "status.json").read_text())["state"] for seed, run in killed.items()}
        found["vgg16, seed 7 killed"] = {"states": states, "differences": differences(killed["0"], runs["one"]["0"])}
        return found


PARTS = {
    **{"equal": Parts.equal, "killed": Parts.killed, "refused": Parts.refused, "precision": Parts.precision},
    **{"epochs": Parts.times, "around": Parts.around, "training": Parts.training, "grid": Parts.grid},
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
        parts = Parts(Path(folder), options.small)
        for part in options.parts:
            began = time.monotonic()
            try:
                found[part] = PARTS[part](parts)
            except Exception:  # the other parts shall be measured all the same
                found[part] = traceback.format_exc()
            print(f"== {part}: {time.monotonic() - began:.0f} s", flush=True)
            print(found[part] if isinstance(found[part], str) else json.dumps(found[part], indent=1), flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
