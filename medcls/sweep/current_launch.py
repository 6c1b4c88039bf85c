"""Which launch of a sweep on a cluster is the current one: jobs of any other, on whatever machine, stop in order.

A file in the sweep's folder names it. To stop all jobs it is enough to remove that file; jobs that a cluster starts
later, or that outlive their sweep.py, find another launch named there, or none.
"""

import json
import uuid

from medcls.atomic import write_json
from medcls.sweep.sweep_folder import SweepFolder

POLL = 0.5  # seconds


def begin_launch(sweep: SweepFolder) -> str:
    """Name of a new launch, which replaces any other."""
    name = uuid.uuid4().hex
    write_json(sweep.launch, {"name": name})
    return name


def end_launch(sweep: SweepFolder) -> None:
    """Have all jobs of the sweep stop in order."""
    sweep.launch.unlink(missing_ok=True)


def is_current(sweep: SweepFolder, name: str) -> bool:
    """Whether the jobs of a launch are still wanted."""
    try:
        return bool(json.loads(sweep.launch.read_text(encoding="utf-8"))["name"] == name)
    except FileNotFoundError:
        return False
    except OSError:  # a failing shared file system is not a request to stop
        return True
