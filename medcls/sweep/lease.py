"""Which launch of a sweep holds: its jobs, on whatever machine, stop in order once it does not.

A file in the sweep's folder names the launch. Ending it is all that a stop takes; jobs that a cluster starts later, or
that outlived their sweep.py, find another launch named there, or none.
"""

import json
import os
import uuid

from medcls.atomic import write_json
from medcls.sweep.folder import SweepFolder


def begin_launch(sweep: SweepFolder, *, local: bool) -> str:
    """Name of a new launch, which takes the place of any other.

    local: all jobs run on this machine, so that they can see whether this process is still there.
    """
    name = uuid.uuid4().hex
    write_json(sweep.launch, {"name": name, "process": os.getpid() if local else None})
    return name


def end_launch(sweep: SweepFolder) -> None:
    """Have all jobs of the sweep stop in order."""
    sweep.launch.unlink(missing_ok=True)


def holds(sweep: SweepFolder, name: str) -> bool:
    """Whether the jobs of a launch are still wanted."""
    try:
        launch = json.loads(sweep.launch.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except OSError:  # a shared file system that falters is no order to stop
        return True
    return bool(launch["name"] == name) and (launch["process"] is None or is_alive(launch["process"]))


def is_alive(process: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
