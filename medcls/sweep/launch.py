"""Jobs on a cluster: launched through Hydra, relaunched when a launcher gives up, stopped."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from medcls.composition.hydra_private import multirun
from medcls.errors import Stopped
from medcls.host.signals import handling_signals
from medcls.quoting import in_grammar
from medcls.sweep.current_launch import POLL, begin_launch, end_launch, is_current
from medcls.sweep.ends import has_begun, mark_for_resuming, record_silent_end, wait_until_free
from medcls.sweep.launch_settings import LaunchSettings
from medcls.sweep.launched_job import work
from medcls.sweep.sweep_folder import SweepFolder


def launch(sweep: SweepFolder, jobs: Sequence[str], settings: LaunchSettings) -> None:
    """Run the jobs; each records in its folder how it ended. Raises Stopped on SIGINT or SIGTERM.

    A launcher gives up on all jobs if one of its own processes dies (with its node, or for lack of memory). The jobs
    that had not ended by then are launched again, as long as each launch completes some.
    """
    while jobs:
        for job in jobs:
            mark_for_resuming(sweep.run_folder(job))
        if launch_once(sweep, jobs, settings):
            jobs, launched = withdraw(sweep, jobs), jobs
            if len(jobs) < len(launched):
                continue
        break
    for job in jobs:
        record_silent_end(sweep.run_folder(job))


def launch_once(sweep: SweepFolder, jobs: Sequence[str], settings: LaunchSettings) -> bool:
    """Launch the jobs and wait for them; returns whether the launcher gave up."""
    name = begin_launch(sweep)
    overrides = [
        *settings.overrides,
        f"folder={in_grammar(str(sweep.path.absolute()))}",
        f"launch={in_grammar(name)}",
        f"working={in_grammar(os.getcwd())}",
        f"allow={in_grammar(settings.allowed)}",
        f"job={','.join(map(in_grammar, jobs))}",
    ]
    if settings.launcher == "submitit_slurm":
        silence_submitit()
    with stopping(sweep, jobs):
        try:
            multirun("launch", work, overrides)
        except Exception as error:
            if is_current(sweep, name):
                reason = f"{type(error).__name__}: {error}".strip().splitlines()[-1]
                print(f"hydra/launcher={settings.launcher} gave up: {reason}", file=sys.stderr)
                return True
    return False


def silence_submitit() -> None:
    """Hide submitit's warning at each poll of a cluster without job accounting, which it does not need."""
    import submitit  # noqa: F401  it sets the level of its messages

    logging.getLogger("submitit").setLevel(logging.ERROR)


def withdraw(sweep: SweepFolder, jobs: Sequence[str]) -> list[str]:
    """End a launch on which its launcher gave up; returns the jobs that had not begun or were running, now stopped.

    Jobs that exited without an error message are recorded as failed.
    """
    time.sleep(4 * POLL)  # a job whose launcher's process died notices and stops
    unfinished = []
    for job in jobs:
        run = sweep.run_folder(job)
        if not has_begun(run) or not wait_until_free(run, 0):
            unfinished.append(job)
        else:
            record_silent_end(run)
    end_launch(sweep)
    for job in unfinished:
        wait_until_free(sweep.run_folder(job))
    return unfinished


@contextmanager
def stopping(sweep: SweepFolder, jobs: Sequence[str]) -> Iterator[None]:
    """On SIGINT or SIGTERM have all jobs, wherever they run, stop in order, then raise Stopped; on a second: now.

    The cluster's queue is not waited for: a job that it starts later finds that it is no longer wanted.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        end_launch(sweep)
        if len(received) == 1:
            print("stopping all jobs; press Ctrl-C again to exit without waiting for them", file=sys.stderr)
        raise Stopped(number)

    with handling_signals(stop):
        try:
            yield
        except Stopped:
            if len(received) == 1:
                for job in jobs:
                    wait_until_free(sweep.run_folder(job))
            raise
