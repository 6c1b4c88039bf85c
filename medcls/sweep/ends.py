"""How the job of a sweep ended, as its run folder records it."""

import signal

from filelock import FileLock, Timeout

from medcls.runs.folder import RunFolder
from medcls.sweep.sweep_folder import history_so_far, read_status

TO_BE_RESUMED = "to be resumed"  # reason in status.json
EARLIER_WORDS = "to be gone on with"  # the same in folders of earlier versions


def mark_for_resuming(run: RunFolder) -> None:
    """Mark a run that will be resumed, so that its earlier end is not taken for a new one."""
    status = read_status(run)
    if status["state"] != "waiting":
        run.write_status("stopped", status["epoch"], TO_BE_RESUMED)


def has_begun(run: RunFolder) -> bool:
    """Whether a job has begun its run since it was marked."""
    status = read_status(run)
    return bool(status["state"] != "waiting" and status["reason"] not in (TO_BE_RESUMED, EARLIER_WORDS))


def wait_until_free(folder: RunFolder, patience: float = -1) -> bool:
    """Wait until no process works in the folder, for at most ``patience`` seconds, without limit if negative.

    Returns whether the folder is free.
    """
    if not folder.path.is_dir():
        return True
    lock = folder.path / ".lock"
    try:
        with FileLock(lock).acquire(timeout=patience):
            lock.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def record_failure(run: RunFolder, reason: str) -> None:
    """Record in the run folder that the job failed and why, unless the run did so itself."""
    if read_status(run)["state"] != "failed":
        run.path.mkdir(parents=True, exist_ok=True)
        run.write_status("failed", len(history_so_far(run)), reason)


def record_exit(run: RunFolder, code: int) -> None:
    """Record the end of a job whose process exited: ``code``, its status, or negative the signal that killed it."""
    if code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        record_failure(run, f"killed by signal {-code}{hint}")
    elif code > 0 and wait_until_free(run) and read_status(run)["state"] not in ("failed", "stopped"):
        record_failure(run, f"exited with status {code}")
    record_silent_end(run)


def record_silent_end(run: RunFolder) -> None:
    """Record the failure of a job that left no record of its end, once no process works on it any more."""
    wait_until_free(run)
    status = read_status(run)
    if status["state"] in ("done", "failed"):
        return
    reason = "exited without an error message (killed, out of memory, out of time?)"
    if not has_begun(run):
        reason = "was not started"
    elif status["state"] == "stopped":
        reason = f"was stopped ({status['reason']})"
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_status("failed", status["epoch"], reason)
