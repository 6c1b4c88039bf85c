"""What Hydra's launchers call for each job, on this or another machine. Imports no PyTorch: it mostly waits."""

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

from medcls.sweep.current_launch import POLL, end_with_sweep, is_current
from medcls.sweep.frozen_job import record_failure, run_frozen
from medcls.sweep.sweep_folder import SweepFolder, read_status


def work(launched: DictConfig) -> None:
    """Run the job that ``launched`` names (see conf/launch.yaml); its run folder records how it ended.

    Raises nothing but Stopped, if the job runs in this process: a job that fails must not stop the others.
    """
    sweep = SweepFolder(Path(launched.folder))
    if launched.isolated:
        ignore_interrupts()
        end_with_sweep(sweep, launched.launch)
        with slot(sweep, launched.launch, launched.slots) as number:
            if is_current(sweep, launched.launch):
                gpus = list(launched.gpus)
                gpu = gpus[number % len(gpus)] if len(gpus) > 1 else None
                run_child(sweep, launched, gpu)
        return
    try:
        run_frozen(sweep, launched.job, list(launched.allow))
    except Exception as error:  # already recorded, unless the folder could not be written
        record_failure(sweep.run_folder(launched.job), f"{type(error).__name__}: {error}")


def ignore_interrupts() -> None:
    """Leave the terminal's Ctrl-C to sweep.py, which stops the jobs cleanly; here it would kill them."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def slot(sweep: SweepFolder, launch: str, slots: int) -> Iterator[int]:
    """Wait for one of ``slots`` places on this machine; 0: no limit but the launcher's."""
    if slots == 0:
        yield 0
        return
    locks = [FileLock(sweep.jobs / f".slot-{number}") for number in range(slots)]
    while is_current(sweep, launch):
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


def run_child(sweep: SweepFolder, launched: DictConfig, gpu: str | None) -> None:
    """Run a job in a process of its own and record in its folder if it is killed."""
    job, launch = launched.job, launched.launch
    folder = sweep.run_folder(job)
    folder.path.mkdir(parents=True, exist_ok=True)
    # Modules of the user's own lie in the sweep's working folder, which a cluster's machine does not know of.
    reached = dict.fromkeys([*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), launched.working])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(reached)}
    environment |= {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    words = [str(sweep.path), job, launch, str(os.getpid()), *launched.allow]
    command = [sys.executable, "-m", "medcls.sweep.frozen_job", *words]
    with (folder.path / "train.log").open("ab") as log:
        # A session of its own keeps the terminal's Ctrl-C away.
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        code = child.wait()
    finally:
        if child.poll() is None:  # SLURM reclaims the machine: the exception of its signal handler passes here
            child.terminate()
            child.wait()
    if not is_current(sweep, launch):
        return
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        record_failure(folder, f"killed by signal {-code}{hint}")
    elif code > 0 and read_status(folder)["state"] not in ("failed", "stopped"):
        record_failure(folder, f"exited with status {code}")
