"""Launching through Hydra, again where a launcher gives up, and stopping what was launched."""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from medcls.config.hydra_private import multirun
from medcls.errors import Stopped
from medcls.runs.folder import RunFolder
from medcls.sweep.current_launch import POLL, begin_launch, end_launch, holds
from medcls.sweep.frozen_job import wait_until_free
from medcls.sweep.launch_settings import Launching
from medcls.sweep.launched_job import work
from medcls.sweep.sweep_folder import SweepFolder, read_status
from medcls.sweep.variants import in_grammar

WAITS = "to be gone on with"


def launch(sweep: SweepFolder, jobs: Sequence[str], launching: Launching) -> None:
    """Run the jobs; each leaves how it ended in its folder. Raises Stopped on SIGINT or SIGTERM.

    A launcher gives up on all jobs when a process of its own dies (with its node, or for want of memory). What did not
    end by then is launched anew, as long as each launch ends some.
    """
    while jobs:
        for job in jobs:
            forget_end(sweep.run_folder(job))
        if launch_once(sweep, jobs, launching):
            jobs, launched = take_back(sweep, jobs), jobs
            if len(jobs) < len(launched):
                continue
        break
    for job in jobs:
        tell_silent_end(sweep.run_folder(job))


def launch_once(sweep: SweepFolder, jobs: Sequence[str], launching: Launching) -> bool:
    """Whether the launcher gave up."""
    name = begin_launch(sweep, local=launching.local)
    overrides = [
        *launching.overrides,
        f"folder={in_grammar(str(sweep.path.absolute()))}",
        f"launch={in_grammar(name)}",
        f"working={in_grammar(os.getcwd())}",
        f"isolated={str(launching.isolated).lower()}",
        f"slots={launching.slots}",
        f"gpus={in_grammar(launching.gpus)}",
        f"allow={in_grammar(launching.allowed)}",
        f"job={','.join(map(in_grammar, jobs))}",
    ]
    if launching.launcher.startswith("submitit"):
        silence_submitit()
    with stopping_isolated(sweep, jobs, launching) if launching.isolated else stopping_here():
        try:
            multirun("launch", work, overrides)
        except Exception as error:
            if holds(sweep, name):
                told = f"{type(error).__name__}: {error}".strip().splitlines()[-1]
                print(f"hydra/launcher={launching.launcher} gave up: {told}", file=sys.stderr)
                return True
    return False


def silence_submitit() -> None:
    """It warns on each look at a cluster that keeps no accounts, which it can do without."""
    import submitit  # noqa: F401  it sets the level of its messages

    logging.getLogger("submitit").setLevel(logging.ERROR)


def take_back(sweep: SweepFolder, jobs: Sequence[str]) -> list[str]:
    """End a launch that its launcher gave up; returns the jobs that had not begun or still ran, now stopped in order.

    Those that ended without a word are told as failed.
    """
    time.sleep(4 * POLL)  # a job whose launcher's process died notices and stops
    unended = []
    for job in jobs:
        run = sweep.run_folder(job)
        if not has_begun(run) or not wait_until_free(run, 0):
            unended.append(job)
        else:
            tell_silent_end(run)
    end_launch(sweep)
    for job in unended:
        wait_until_free(sweep.run_folder(job))
    return unended


def has_begun(run: RunFolder) -> bool:
    """Whether a job that was launched has reached its run."""
    status = read_status(run)
    return bool(status["state"] != "waiting" and status["reason"] != WAITS)


def forget_end(run: RunFolder) -> None:
    """Mark a run that will be gone on with, so that its old end is not taken for a new one."""
    status = read_status(run)
    if status["state"] != "waiting":
        run.write_status("stopped", status["epoch"], WAITS)


def tell_silent_end(run: RunFolder) -> None:
    """Record the failure of a job that its launcher lost, once no process works on it any more."""
    wait_until_free(run)
    status = read_status(run)
    if status["state"] in ("done", "failed"):
        return
    reason = "ended without a word (killed, out of memory, out of time?)"
    if not has_begun(run):
        reason = "was not started"
    elif status["state"] == "stopped":
        reason = f"stopped from outside ({status['reason']})"
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_status("failed", status["epoch"], reason)


@contextmanager
def stopping_here() -> Iterator[None]:
    """Raise Stopped on SIGINT and SIGTERM; a job that runs in this process first ends in order."""
    from medcls.training.stop import stopping_in_order

    with stopping_in_order():
        yield


@contextmanager
def stopping_isolated(sweep: SweepFolder, jobs: Sequence[str], launching: Launching) -> Iterator[None]:
    """On SIGINT or SIGTERM have all jobs end in order, wherever they run, then raise Stopped; a second one: at once.

    A cluster's queue is not waited for: what it starts later finds that it is no longer wanted.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        end_launch(sweep)
        if len(came) == 1:
            print("stopping all jobs in order; once more to leave at once", file=sys.stderr)
        if len(came) > 1 or not launching.local:
            raise Stopped(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
        if came:
            raise Stopped(came[0])
    except Stopped:
        if len(came) == 1:
            for job in jobs:
                wait_until_free(sweep.run_folder(job))
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
