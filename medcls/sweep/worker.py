"""What Hydra's launchers call for each job, here or on another machine. Imports no PyTorch: it mostly waits."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from filelock import FileLock, Timeout
from omegaconf import DictConfig

from medcls.sweep.folder import SweepFolder, read_status
from medcls.sweep.job import record_failure, run_frozen

POLL = 0.5  # seconds


def work(launched: DictConfig) -> None:
    """Run the job that ``launched`` names (see conf/launch.yaml); how it ended stands in its run folder.

    Raises nothing but Stopped, in this process: a job that fails is no reason to stop the others.
    """
    sweep = SweepFolder(Path(launched.folder))
    if launched.isolated:
        ignore_interrupts()
        with slot(sweep, launched.slots) as number:
            if not stop_file(sweep).exists():
                gpus = list(launched.gpus)
                run_child(sweep, launched.job, gpus[number % len(gpus)] if len(gpus) > 1 else None)
        return
    try:
        run_frozen(sweep, launched.job)
    except Exception as error:  # the folder has it, but where it could not be written
        record_failure(sweep.run_folder(launched.job), f"{type(error).__name__}: {error}")


def stop_file(sweep: SweepFolder) -> Path:
    """Its presence tells jobs on any machine to stop in order."""
    return sweep.jobs / ".stop"


def ignore_interrupts() -> None:
    """Leave the terminal's Ctrl-C to sweep.py, which stops the jobs in order; here it would cut them short."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def slot(sweep: SweepFolder, slots: int) -> Iterator[int]:
    """Wait for one of ``slots`` places on this machine; 0: as many as the launcher starts."""
    if slots == 0:
        yield 0
        return
    locks = [FileLock(sweep.jobs / f".slot-{number}") for number in range(slots)]
    while not stop_file(sweep).exists():
        for number, lock in enumerate(locks):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield number
            finally:
                lock.release()
            return
        sleep(POLL)
    yield 0


def run_child(sweep: SweepFolder, job: str, gpu: str | None) -> None:
    """Run a job in a process of its own and tell in its folder when it is killed."""
    folder = sweep.run_folder(job)
    folder.path.mkdir(parents=True, exist_ok=True)
    environment = os.environ | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})
    command = [sys.executable, "-m", "medcls.sweep.job", str(sweep.path), job]
    with (folder.path / "train.log").open("ab") as log:
        # A session of its own keeps the terminal's Ctrl-C away.
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    asked, code = wait(child, sweep)
    if code < 0 and not asked:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        record_failure(folder, f"killed by signal {-code}{hint}")
    elif code > 0 and read_status(folder)["state"] not in ("failed", "stopped"):
        record_failure(folder, f"ended with status {code}")


def wait(child: subprocess.Popen[bytes], sweep: SweepFolder) -> tuple[bool, int]:
    """Whether the child was asked to stop, because sweep.py was or is gone, and its exit status."""
    parent, asked = os.getppid(), False
    while True:
        try:
            return asked, child.wait(POLL)
        except subprocess.TimeoutExpired:
            if not asked and (stop_file(sweep).exists() or os.getppid() != parent):
                child.terminate()
                asked = True
