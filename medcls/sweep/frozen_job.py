"""One job of a sweep, from its frozen configuration.

python -m medcls.sweep.frozen_job <folder of the sweep> <job> <launch> <process that waits for it> [own code ...]
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from medcls.config import Config
from medcls.config.knobs import changeable
from medcls.config.stored import check_stored
from medcls.errors import Stopped, UserError
from medcls.process import forgiving_logs, tune_process
from medcls.runs.folder import RunFolder
from medcls.sweep.current_launch import POLL, is_current
from medcls.sweep.ends import record_failure, wait_until_free
from medcls.sweep.sweep_folder import SweepFolder, flat

log = logging.getLogger(__name__)
PATIENCE = 60  # seconds for a job of an earlier launch to stop


def run_frozen(sweep: SweepFolder, name: str, allowed: Collection[str]) -> None:
    """Train a job, or resume it if its folder holds a run; an error is recorded in its folder and raised.

    allowed: code of the user's own that the command which launched the sweep names.
    """
    folder = sweep.run_folder(name)
    folder.path.mkdir(exist_ok=True)
    with logging_to(folder.path / "train.log"):
        try:
            from medcls.run import run  # takes seconds to import

            config, swept = sweep.frozen(name, allowed), sweep.swept_keys()
            if config is None:
                raise UserError(f"{sweep.jobs / name}.yaml: missing. Re-run the command that made the sweep.")
            overrides = next(job["overrides"] for job in sweep.read()["jobs"] if job["name"] == name)
            wait_until_free(folder, PATIENCE)
            if folder.config.exists():
                config, overrides = resuming(config, folder)
            run(config, folder.path, overrides, swept=swept, show=False)
        except UserError as error:
            log.error("%s", error)
            record_failure(folder, str(error))
            raise
        except Exception as error:
            log.exception("the job failed")
            record_failure(folder, f"{type(error).__name__}: {error}")
            raise


def resuming(config: Config, folder: RunFolder) -> tuple[Config, list[str]]:
    """The configuration that resumes the run in the folder, and overrides for the keys that have changed since."""

    stored = check_stored(folder.read_config(), folder.config, config.own_code)
    before, now = dict(flat(stored.plain())), dict(flat(config.plain()))
    changed = [f"{key}={now[key]}" for key in changeable(config) if before[key] != now[key]]
    return config.model_copy(update={"resume": folder.path}), changed


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Append all messages of the block to a file, and show them nowhere else."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    root = logging.getLogger()
    others, level = list(root.handlers), root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        with forgiving_logs():
            yield
    finally:
        root.handlers[:] = others
        root.setLevel(level)
        handler.close()


def stop_when_unwanted(sweep: SweepFolder, launch: str, parent: int) -> None:
    """Shut down cleanly once the launch is not the current one, or the process that waits for this one is gone."""

    def watch() -> None:
        while os.getppid() == parent and is_current(sweep, launch):
            time.sleep(POLL)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def exit_with_status(sweep: SweepFolder, name: str, allowed: Collection[str]) -> None:
    """Run a job and exit: with 0 done, 1 failed, 128 + signal when stopped by one."""
    try:
        run_frozen(sweep, name, allowed)
    except Stopped as stopped:
        sys.exit(128 + stopped.signal)
    except Exception:  # recorded in the run folder and in train.log
        sys.exit(1)


def main(folder: str, name: str, launch: str, parent: str, *allowed: str) -> None:
    """A job on a cluster."""
    tune_process()
    sweep = SweepFolder(Path(folder))
    stop_when_unwanted(sweep, launch, int(parent))
    exit_with_status(sweep, name, allowed)


if __name__ == "__main__":
    main(*sys.argv[1:])
