"""Which launch of a sweep is the current one: jobs of any other, on whatever machine, shut down cleanly.

A file in the sweep's folder names it. To stop all jobs it is enough to remove that file; jobs that a cluster starts
later, or that outlive their sweep.py, find another launch named there, or none.
"""

import json
import os
import threading
import time
import uuid
from functools import cache
from typing import Any

import psutil

from medcls.atomic import write_json
from medcls.sweep.sweep_folder import SweepFolder

POLL = 0.5  # seconds


def begin_launch(sweep: SweepFolder, *, local: bool) -> str:
    """Name of a new launch, which replaces any other.

    local: all jobs run on this machine, so that they can check whether this process is still alive.
    """
    name = uuid.uuid4().hex
    write_json(sweep.launch, {"name": name, "process": os.getpid() if local else None})
    return name


def end_launch(sweep: SweepFolder) -> None:
    """Have all jobs of the sweep shut down cleanly."""
    sweep.launch.unlink(missing_ok=True)


def is_current(sweep: SweepFolder, name: str) -> bool:
    """Whether the jobs of a launch are still wanted."""
    try:
        launch = read_launch(sweep)
    except FileNotFoundError:
        return False
    except OSError:  # a failing shared file system is not a request to stop
        return True
    return bool(launch["name"] == name) and (launch["process"] is None or is_alive(launch["process"]))


def end_with_sweep(sweep: SweepFolder, name: str) -> None:
    """Have this process die with the sweep.py that launched it; joblib's processes would wait for work forever."""
    try:
        launch = read_launch(sweep)
    except OSError:
        return
    if launch["name"] == name and launch["process"] is not None:
        end_with(launch["process"])


@cache
def end_with(process: int) -> None:
    """Have this process die with another process of this machine."""

    def watch() -> None:
        while is_alive(process):
            time.sleep(POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def read_launch(sweep: SweepFolder) -> dict[str, Any]:
    """The launch that the sweep's folder names."""
    launch: dict[str, Any] = json.loads(sweep.launch.read_text(encoding="utf-8"))
    return launch


def is_alive(process: int) -> bool:
    """Whether a process of this machine is running; a zombie is not."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
