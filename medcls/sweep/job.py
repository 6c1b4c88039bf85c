"""One job of a sweep, from its frozen configuration: python -m medcls.sweep.job <folder of the sweep> <job>."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from medcls.config import Config
from medcls.errors import Stopped, UserError
from medcls.process import tune_process
from medcls.sweep.folder import SweepFolder, read_history, read_status
from medcls.training.folder import RunFolder

log = logging.getLogger(__name__)
PATIENCE = 60  # seconds for the process of an earlier start to notice that it was left alone


def run_frozen(sweep: SweepFolder, name: str) -> None:
    """Train a job, or go on with it where its folder holds a run; what stops it is told in its folder and raised."""
    folder, config = sweep.run_folder(name), sweep.frozen(name)
    if config is None:
        raise UserError(f"{sweep.jobs / name}.yaml: missing. Run the line that made the sweep again.")
    overrides = next(job["overrides"] for job in sweep.read()["jobs"] if job["name"] == name)
    swept = sweep.swept_keys()
    folder.path.mkdir(exist_ok=True)
    with logging_to(folder.path / "train.log"):
        try:
            from medcls.training.run import run  # takes seconds to import

            wait_until_free(folder)
            if folder.config.exists():
                config, overrides = going_on(config, folder)
            run(config, folder.path, overrides, swept=swept, show=False)
        except UserError as error:
            log.error("%s", error)
            record_failure(folder, str(error))
            raise
        except Exception as error:
            log.exception("the job failed")
            record_failure(folder, f"{type(error).__name__}: {error}")
            raise


def going_on(config: Config, folder: RunFolder) -> tuple[Config, list[str]]:
    """The configuration that resumes the run in the folder, with overrides that name what has changed since."""
    from medcls.sweep.folder import flat
    from medcls.training.resume import CHANGEABLE

    before, now = dict(flat(folder.read_config().plain())), dict(flat(config.plain()))
    changed = [f"{key}={now[key]}" for key in CHANGEABLE if before[key] != now[key]]
    return config.model_copy(update={"resume": folder.path}), changed


def wait_until_free(folder: RunFolder, patience: float | None = PATIENCE) -> None:
    """Wait for a process that still works in the folder, for ``patience`` seconds or, when None, to its end."""
    if not folder.path.is_dir():
        return
    try:
        with FileLock(folder.path / ".lock").acquire(timeout=-1 if patience is None else patience):
            pass
    except Timeout:
        return


def record_failure(folder: RunFolder, reason: str) -> None:
    """Say in the run folder that the job failed and why, unless the run did so itself."""
    if read_status(folder)["state"] != "failed":
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_status("failed", len(read_history(folder)), reason)


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """All messages of the block go to the end of a file, and nowhere else."""
    logging.raiseExceptions = False  # a full disk also fails the log file, which must not bury the reason
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    root = logging.getLogger()
    others, level = list(root.handlers), root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = others
        root.setLevel(level)
        handler.close()


def stop_when_left_alone() -> None:
    """Stop in order when the process that waits for this one is gone: nobody would know how the job ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def main() -> int:
    """Exit status: 0 done, 1 failed, 128 + signal when stopped by one."""
    tune_process()
    stop_when_left_alone()
    try:
        run_frozen(SweepFolder(Path(sys.argv[1])), sys.argv[2])
    except Stopped as stopped:
        return 128 + stopped.signal
    except Exception:  # told in the run folder and in train.log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
