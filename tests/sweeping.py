"""A sweep small enough for tests, and what its folder holds."""

import csv
import json
import os
import time
from pathlib import Path

from conftest import SCRIPT
from hydra import initialize_config_dir

from medcls.composition.run_name import register_resolvers
from medcls.sweep.local import run_here
from medcls.sweep.plan import plan_sweep
from medcls.sweep.sweep_folder import SweepFolder

TINY = [
    "model=lenet",
    "data=skin",
    "model.n_base=2",
    "image_size=32",
    "epochs=2",
    "batch_size=4",
    "logger=none",
    "logger.pictures=false",
    "trainer.accelerator=cpu",
    "trainer.threads=1",
    "data.simulated.counts.train=[6,6]",
    "data.simulated.counts.val=[4,4]",
]


# A module of the user's own with a callback that fails when training starts.
FAILING = """import pytorch_lightning as pl

class Callback(pl.Callback):
    def on_train_start(self, trainer, pl_module):
        raise ValueError("it broke")
"""


def run_jobs(folder, words, settings):
    """Run the jobs of a sweep with launch settings that a test makes up, such as GPUs that are not there."""
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        plan = plan_sweep(words)
    sweep = SweepFolder(folder)
    folder.mkdir()
    sweep.write(plan.contract([]), plan.configs)
    run_here(sweep, list(plan.configs), settings)
    return sweep


def states(folder):
    """Job -> state, for all jobs of a sweep."""
    names = [job["name"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]]
    return {name: json.loads((folder / name / "status.json").read_text())["state"] for name in names}


def histories(folder):
    """Job -> rows of its history without their seconds."""
    return {
        path.parent.name: [line.rpartition(",")[0] for line in path.read_text().splitlines()]
        for path in sorted(folder.glob("*/history.csv"))
    }


def results(folder):
    """Rows of results.csv without the columns of seconds."""
    with (folder / "results.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]


def eventually(condition, seconds=120):
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise TimeoutError


def pids_of(job):
    """The processes that run a job, or any job of a folder: they have its train.log open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:
            continue
        if str(job) in target and target.endswith("/train.log"):
            found.add(int(link.parts[2]))
    return found
