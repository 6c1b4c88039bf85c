"""What the launchers of clusters call for each job, on another machine. Imports no PyTorch: it mostly waits."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from omegaconf import DictConfig

from medcls.sweep.current_launch import is_current
from medcls.sweep.ends import record_exit
from medcls.sweep.sweep_folder import SweepFolder


def work(launched: DictConfig) -> None:
    """Run the job that ``launched`` names (see conf/launch.yaml) in a process of its own; its folder records its end.

    Raises nothing, since a job that fails must not stop the others.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # sweep.py stops its jobs in order
    sweep = SweepFolder(Path(launched.folder))
    if is_current(sweep, launched.launch):
        code = run_child(sweep, launched)
        if is_current(sweep, launched.launch):
            record_exit(sweep.run_folder(launched.job), code)


def run_child(sweep: SweepFolder, launched: DictConfig) -> int:
    """Run a job in a process of its own; returns how it exited."""
    folder = sweep.run_folder(launched.job)
    folder.path.mkdir(parents=True, exist_ok=True)
    # Modules of the user's own lie in the sweep's working folder, which a cluster's machine does not know.
    reached = dict.fromkeys([*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), launched.working])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(reached)}
    words = [str(sweep.path), launched.job, launched.launch, str(os.getpid()), *launched.allow]
    command = [sys.executable, "-m", "medcls.sweep.frozen_job", *words]
    with (folder.path / "train.log").open("ab") as log:
        # A session of its own keeps the terminal's Ctrl-C away.
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        return child.wait()
    finally:
        if child.poll() is None:  # SLURM reclaims the machine: the exception of its signal handler passes here
            child.terminate()
            child.wait()
