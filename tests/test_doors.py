"""The doors of docs/doors.md: each example is trained, killed, resumed, swept and reported; nothing in medcls/ touched.

By script and by the console command. What is swept in each is one of the part's own arguments where it has some.
"""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml
from conftest import SCRIPT, SWEEP
from PIL import Image
from sweeping import eventually

EXAMPLES = SCRIPT.parent / "examples"
SMALL = "model=lenet model.n_base=2 image_size=32 batch_size=4 lr=1e-3 trainer.accelerator=cpu trainer.threads=1"
SIMULATED = "data=skin data.simulated.counts.train=[8,8] data.simulated.counts.val=[6,6]"
PROGRAMS = {
    "script": {"train": [sys.executable, str(SCRIPT)], "sweep": [sys.executable, str(SWEEP)]},
    "medcls": {
        name: [sys.executable, "-c", "from medcls.cli import main; main()", name] for name in ("train", "sweep")
    },
}


class Drill(NamedTuple):
    """Overrides of a run, without the one that is swept; the swept one; a value of it."""

    overrides: list[str]
    swept: str
    value: str


DRILLS = {
    "net": Drill(
        ["model=own", "model._target_=mynet.SmallResNet", "+model.args.dropout=0.2"], "+model.args.width", "4,8"
    ),
    "npz": Drill(["data=own", "data._target_=npz_source.load", "+data.args.path=images.npz"], "lr", "1e-2,1e-3"),
    "metadata.csv": Drill(["data=own", "data._target_=metadata_csv.load", "data.root=listed"], "lr", "1e-2,1e-3"),
    "transforms": Drill([], "augment", "mine,none"),
    "loss": Drill(["loss=own", "loss._target_=mylosses.FocalLoss"], "+loss.args.gamma", "2,0.5"),
    "optimizer and schedule": Drill(
        [
            "optimizer=own",
            "optimizer._target_=torch.optim.RAdam",
            "scheduler=own",
            "scheduler._target_=torch.optim.lr_scheduler.OneCycleLR",
            "scheduler.interval=batch",
            "trainer.accumulate=2",
            "trainer.gradient_clip=1",
        ],
        "+scheduler.args.max_lr",
        "1e-2,1e-3",
    ),
    "metric": Drill(["metrics=[{_target_: mymetrics.matthews}]"], "lr", "1e-2,1e-3"),
    "callback and logger": Drill(
        ["callbacks=[{_target_: mycallbacks.Note, path: notes.txt}]", "loggers=[csv]"], "lr", "1e-2,1e-3"
    ),
    "module": Drill(["classifier._target_=mymodule.Mixup"], "+classifier.args.alpha", "0.2,0.8"),
    "column": Drill(["columns=[{_target_: mycolumns.epochs_after_best}]"], "lr", "1e-2,1e-3"),
}


@pytest.fixture
def place(tmp_path):
    """A working folder of the user's with all examples and small data of each kind."""
    folder = tmp_path / "working"
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    rng = np.random.default_rng(0)
    images = {split: rng.integers(0, 256, (count, 40, 40), dtype=np.uint8) for split, count in SPLITS.items()}
    labels = {split: np.arange(count) % 2 for split, count in SPLITS.items()}
    np.savez(
        folder / "images.npz",
        **{f"x_{split}": images[split] for split in SPLITS},
        **{f"y_{split}": labels[split] for split in SPLITS},
    )
    for split in SPLITS:
        (folder / "listed" / split).mkdir(parents=True)
        rows = []
        for i, (image, label) in enumerate(zip(images[split], labels[split], strict=True)):
            Image.fromarray(image).save(folder / "listed" / split / f"{i}.png")
            rows.append(f"{i}.png,{('healthy', 'ill')[label]}")
        (folder / "listed" / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    return folder


SPLITS = {"train": 16, "test": 12}


@pytest.fixture
def start(place):
    """Start a command of a program in the working folder."""
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent), "MEDCLS_CACHE": str(place / "cache")}

    def run(program, name, overrides):
        command = [*PROGRAMS[program][name], *SMALL.split(), *overrides]
        if "data=own" not in overrides:
            command += SIMULATED.split()
        if any(override.startswith("model=own") for override in overrides):
            command.remove("model=lenet")
            command.remove("model.n_base=2")
        return subprocess.Popen(command, cwd=place, env=environment, stdout=-1, stderr=-1, text=True)

    return run


@pytest.fixture
def finish(start):
    """Run a command to its end; returns what it printed."""

    def run(program, name, *overrides):
        process = start(program, name, overrides)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        return out

    return run


def rows_of(folder):
    with (folder / "history.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def weights_of(folder):
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def same(a, b):
    """Whether two checkpoints hold the same tensors and values, paths aside."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or isinstance(a, str)


def kill_after_an_epoch(process, folder):
    def checkpointed():
        path = folder / "status.json"
        return path.exists() and json.loads(path.read_text())["epoch"] >= 1

    eventually(lambda: checkpointed() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it finished before it could be killed"


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", DRILLS)
def test_part_of_the_users_own_is_trained_killed_resumed_swept_and_reported(name, program, place, start, finish):
    drill = DRILLS[name]
    run = [*drill.overrides, f"{drill.swept}={drill.value.split(',')[0]}"]
    finish(program, "train", *run, "epochs=40", "hydra.run.dir=whole")
    kill_after_an_epoch(start(program, "train", [*run, "epochs=40", "hydra.run.dir=killed"]), place / "killed")
    finish(program, "train", *run, "resume=killed")
    assert rows_of(place / "killed") == rows_of(place / "whole")
    of_killed, of_whole = weights_of(place / "killed"), weights_of(place / "whole")
    for part in ("state_dict", "optimizer_states", "schedule"):
        assert same(of_killed.get(part), of_whole.get(part))

    swept = [*drill.overrides, f"{drill.swept}={drill.value}", "epochs=2", "hydra.sweep.dir=sweep"]
    out = finish(program, "sweep", *swept)
    assert "done" in out
    with (place / "sweep/results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    assert [row["state"] for row in results] == ["done", "done"]
    assert results[0]["best_val_loss"] != results[1]["best_val_loss"]
    page = (place / "sweep/report.html").read_text()
    if name == "metric":
        assert "matthews" in page
        assert "best_val_matthews" in results[0]
        assert "val_matthews" in rows_of(place / "whole")[0]
        assert {"value", "low", "high"} <= json.loads((place / "whole/metrics.json").read_text())["best"]["val"][
            "matthews"
        ].keys()
    if name == "column":
        assert "epochs after best" in page
    if name == "callback and logger":
        assert len((place / "whole/notes.txt").read_text().splitlines()) == 40
        # What a callback wrote by itself in the epoch that was killed is written again.
        assert (place / "killed/notes.txt").read_text().splitlines()[-1] == (
            place / "whole/notes.txt"
        ).read_text().splitlines()[-1]
        assert list((place / "whole").glob("lightning_logs/*/metrics.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_experiment_in_the_working_folder_is_swept(program, place, finish):
    small = ["epochs=2", "seed=0,1", "image_size=32", "trainer.accelerator=cpu", "hydra.sweep.dir=sweep"]
    counts = ["data.simulated.counts.train=[8,8]", "data.simulated.counts.val=[6,6]"]
    command = [*PROGRAMS[program]["sweep"], "experiment=mine", *small, *counts]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent), "MEDCLS_CACHE": str(place / "cache")}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Does a residual net beat LeNet?" in (place / "sweep/report.md").read_text()


CODE = "from pathlib import Path\nPath('ran').touch()\ndef loss(logits, labels): return logits.mean()\n"


@pytest.mark.one_in(2)
@pytest.mark.parametrize("allowed", [[], ["allow=[stranger.loss]"]], ids=["unnamed", "named"])
def test_code_that_only_a_run_folder_names_is_not_run(command, train, place, allowed):
    train(*SMALL.split(), *SIMULATED.split(), "epochs=1", "hydra.run.dir=run", "logger=none")
    (place / "stranger.py").write_text(CODE)
    config = place / "run/config.yaml"
    values = yaml.safe_load(config.read_text())
    values["loss"] |= {"name": "own", "_target_": "stranger.loss", "args": {}, "outputs": "default"}
    config.write_text(yaml.safe_dump(values))
    result = train("resume=run", "epochs=2", *allowed)
    if allowed:
        assert result.status == 0, result.err
        assert (place / "ran").exists()
    else:
        assert result.status == 2
        assert "names code that this command does not: stranger.loss" in result.err
        assert "allow=[stranger.loss]" in result.err
        assert not (place / "ran").exists()
    sys.modules.pop("stranger", None)


def test_code_that_only_a_frozen_job_names_is_not_run(command, place):
    words = [*SMALL.split(), *SIMULATED.split(), "epochs=1", "logger=none", "hydra.sweep.dir=sweep"]
    assert command("medcls", "sweep", *words).status == 0
    (place / "stranger.py").write_text(CODE)
    (job,) = (place / "sweep/jobs").glob("*.yaml")
    values = yaml.safe_load(job.read_text())
    values["callbacks"] = [{"_target_": "stranger.loss"}]
    job.write_text(yaml.safe_dump(values))
    result = command("medcls", "sweep", *words)
    assert result.status == 2
    assert f"{job.name}: names code that this command does not: stranger.loss" in result.err
    assert not (place / "ran").exists()


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ("loss=focal", "loss=focal: no such choice. Choices of loss: default, one_vs_rest, own."),
        ("loss.name=focal", "loss.name: found 'focal'. Expected one of default, one_vs_rest, own."),
        ("scheduler.name=onecycle", "scheduler.name: found 'onecycle'."),
        ("optimizer.name=adma", "optimizer.name: found 'adma'. Did you mean adam?"),
        ("model=own model._target_=mynet.SmalResNet", "Did you mean mynet.SmallResNet?"),
        ("model=own model._target_=mynets.SmallResNet", "Did you mean mynet?"),
        ("model=own model._target_=mynet.SmallResNet +model.args.widht=4", "Did you mean width?"),
        ("model=own model._target_=mynet.Block +model.args.width=4", "Block cannot be called as medcls does"),
        ("model=own", "model._target_: Missing"),
        ("loss=own loss._target_=mylosses.FocalLoss +loss.args.gama=2", "Did you mean gamma?"),
        ("loss=own loss._target_=mynet.SmallResNet", "n_outputs"),
        ("optimizer=own optimizer._target_=torch.optim.RAdm", "Did you mean torch.optim.RAdam?"),
        ("scheduler=own scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "max_lr"),
        ("classifier._target_=mynet.SmallResNet", "classifier: mynet.SmallResNet is not a subclass"),
        ("callbacks=[{_target_: mycallbacks.Note}]", "path"),
        ("callbacks=[{_target_: mynet.Block, width: 3}]", "callbacks.0: mynet.Block is not a Callback of Lightning"),
        ("callbacks=[{path: notes.txt}]", "callbacks.0._target_: missing"),
        ("loggers=[csvv]", "one of csv, mlflow, wandb"),
        ("sweep.reach=[{metric: val_aurc, value: 0.9}]", "sweep.reach: found 'val_aurc'. Did you mean val_auroc?"),
        ("metrics=[{_target_: mymetrics.mathews}]", "Did you mean mymetrics.matthews?"),
    ],
)
@pytest.mark.parametrize("program", ["train", "sweep"])
def test_what_cannot_be_used_is_told_before_any_work(command, place, program, overrides, told):
    words = overrides.split(" ") if not overrides.endswith("]") else [overrides]
    where = place.parent / "run"
    folder = f"hydra.{'run' if program == 'train' else 'sweep'}.dir={where}"
    result = command("medcls", program, *SMALL.split()[:1], "image_size=32", *SIMULATED.split(), *words, folder)
    assert result.status == 2, result.out + result.err
    assert told in result.err
    assert "Traceback" not in result.err
    assert not where.exists()
