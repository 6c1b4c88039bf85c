"""Small image folders, and the train command run for real in this process."""

import logging
import os
import runpy
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as train.py does, before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")  # nets this small gain nothing by a second, which waits on a busy machine

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from medcls.cli import main
from medcls.config.data import SplitConfig

SCRIPT = Path(__file__).parents[1] / "train.py"
SWEEP = SCRIPT.with_name("sweep.py")
TINY = [
    "model=lenet",
    "model.n_base=2",
    "image_size=32",
    "epochs=2",
    "batch_size=4",
    "trainer.accelerator=cpu",
    "logger.pictures=false",  # half of the time of runs this small
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark all but one in n cases of a test as slow where it says ``one_in(n)``, before -m chooses."""
    seen = Counter()
    for item in items:
        if (sampled := item.get_closest_marker("one_in")) is not None:
            if seen[item.function] % sampled.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[item.function] += 1


def split_config(val_fraction=0.2, seed=0, folds=None, fold=0, inner_val=True):
    """How to split, as data.split says it."""
    return SplitConfig(val_fraction=val_fraction, seed=seed, folds=folds, fold=fold, inner_val=inner_val)


@dataclass(frozen=True)
class Result:
    """How a command ended: exit status, what it printed, and the folder it left."""

    status: int
    out: str
    err: str
    folder: Path


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    """Neither the user's images nor a cache of another test can be met."""
    monkeypatch.setenv("MEDCLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDCLS_DATA", raising=False)


def write_noise(root, levels, count, seed):
    """A folder of ``count`` noisy images of 40 x 40 pixels for each class, which ``levels`` gives a mean brightness."""
    rng = np.random.default_rng(seed)
    for name, level in levels.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.normal(level, 25, (40, 40)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def make_folder(tmp_path):
    """Factory of image folders, JPEG and PNG in turn; the later a class, the brighter its images.

    layout: "folders" (train/a/0.jpg) or "tokens" (train/a_0.jpg); counts: images of each class per split folder,
    where "" is the root itself. Each call makes a folder of its own, with the same pixels for the same arguments.
    """
    made = 0

    def make(layout="folders", classes=("a", "b"), counts=None, size=40):
        nonlocal made
        made += 1
        root = tmp_path / f"images{made if made > 1 else ''}"
        rng = np.random.default_rng(0)
        levels = np.linspace(60, 200, len(classes))
        for split, count in ({"train": 6, "test": 4} if counts is None else counts).items():
            for name, level in zip(classes, levels, strict=True):
                for i in range(count):
                    file = f"{i}.{'png' if i % 2 else 'jpg'}"
                    path = root / split / (f"{name}/{file}" if layout == "folders" else f"{name}_{file}")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    pixels = rng.normal(level, 25, (size, size)).clip(0, 255).astype(np.uint8)
                    Image.fromarray(pixels).save(path)
        return root

    return make


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run a script, a module as python -m does, or medcls itself, from an empty working folder, and undo its changes.

    The result's folder is the working folder. An exception that is not turned into an exit status is raised.
    """
    working = tmp_path / "working"
    working.mkdir()

    def run(program, *arguments):
        monkeypatch.chdir(working)
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        before = State()
        capfd.readouterr()
        try:
            if program == "medcls":
                main()
            elif isinstance(program, Path):
                runpy.run_path(str(program), run_name="__main__")
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            before.restore()
        printed = capfd.readouterr()
        return Result(status, printed.out, printed.err, working)

    return run


@pytest.fixture
def train(tmp_path, command):
    """Run train.py with overrides; its run folder is tmp_path/run (then run2 ...) where the overrides name none."""
    runs = 0

    def run(*overrides):
        nonlocal runs
        runs += 1
        named = [o.partition("=")[2] for o in overrides if o.startswith(("hydra.run.dir=", "resume="))]
        folder = tmp_path / "working" / named[-1].strip("'") if named else tmp_path / f"run{runs if runs > 1 else ''}"
        where = [] if named else [f"hydra.run.dir={folder}"]
        return replace(command(SCRIPT, *overrides, *where), folder=folder)

    return run


@pytest.fixture
def folder(tmp_path):
    """Where the fixtures below have sweep.py run, unless told otherwise."""
    return tmp_path / "sweep"


@pytest.fixture
def sweep(folder, command):
    """Run sweep.py with overrides."""

    def run(*overrides):
        named = any(override.startswith(("hydra.sweep.dir=", "report=")) for override in overrides)
        where = [] if named else [f"hydra.sweep.dir={folder}"]
        return replace(command(SWEEP, *overrides, *where), folder=folder)

    return run


@pytest.fixture
def started(tmp_path, folder):
    """Start sweep.py in a process group of its own; what is left of it is killed after the test."""
    processes = []

    def start(*overrides, **options):
        process = subprocess.Popen(
            [sys.executable, str(SWEEP), *overrides, f"hydra.sweep.dir={folder}"],
            cwd=tmp_path,
            **options,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class State:
    """What a command changes in its process: logging, signal handlers, environment, threads."""

    def __init__(self):
        self.handlers = list(logging.root.handlers)
        self.levels = {logger: logger.level for logger in loggers()}
        self.raise_exceptions = logging.raiseExceptions
        self.signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.environment = dict(os.environ)
        self.threads = torch.get_num_threads()
        self.path = list(sys.path)

    def restore(self):
        for handler in set(logging.root.handlers) - set(self.handlers):
            handler.close()
        logging.root.handlers[:] = self.handlers
        for logger in loggers():
            logger.setLevel(self.levels.get(logger, logging.NOTSET))
        logging.raiseExceptions = self.raise_exceptions
        for number, handler in self.signals.items():
            signal.signal(number, handler)
        os.environ.clear()
        os.environ.update(self.environment)
        torch.set_num_threads(self.threads)
        sys.path[:] = self.path
        GlobalHydra.instance().clear()


def loggers():
    named = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    return [logging.root, *named]


@pytest.fixture
def own_code(request, tmp_path, monkeypatch):
    """Code of the user's, ``OWN`` of the test's file, in a module called mine."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.py").write_text(textwrap.dedent(request.module.OWN))
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    yield
    sys.modules.pop("mine", None)
