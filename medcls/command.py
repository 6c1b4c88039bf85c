"""What surrounds a command's work: the configuration checked, errors as messages, a readable exit status."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from medcls.config import Config
from medcls.config.messages import explain_composition, explain_interpolation
from medcls.errors import Stopped, UserError

# What a folder of the user's can answer, and no mistake of ours.
REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG),
)


@contextmanager
def job() -> Iterator[Path]:
    """Folder of one job of a command; a UserError in the block becomes a message.

    It ends a single run with status 2, and in a multirun only its job.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    had_log = (folder / "train.log").exists()  # of something else, where the folder is no run's
    logging.raiseExceptions = False  # a full disk also fails the log file, which must not bury the message
    try:
        yield folder
    except UserError as error:
        logging.getLogger(__name__).error("%s", error)
        if not had_log:
            forget_if_nothing_began(folder)
        if hydra.mode == RunMode.MULTIRUN:
            raise  # Hydra goes on with the other jobs and fails at the end
        raise SystemExit(2) from error


def forget_if_nothing_began(folder: Path) -> None:
    """Remove the folder of a run that failed before it wrote its configuration."""
    if (folder / "config.yaml").exists():
        return
    (folder / "train.log").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def explain_refused(error: OSError) -> str:
    """Message for a file or folder that the system does not let us make, read or write."""
    return (
        f"{error.filename}: {error.strerror}.\n  Change its permissions or name another place: runs go to "
        "hydra.run.dir (of a sweep hydra.sweep.dir), decoded images to data.cache_dir, images come from data.root."
    )


@contextmanager
def readable_errors() -> Iterator[None]:
    """Exit with status 2 and a message for the user's mistakes, with 128 + signal when stopped by one."""
    # Without it Hydra prints its own account of an error and exits with status 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except HydraException as error:
        print(explain_composition(error, Config), file=sys.stderr)
        raise SystemExit(2) from error
    except OmegaConfBaseException as error:  # in the name of the run folder
        print(explain_interpolation(error), file=sys.stderr)
        raise SystemExit(2) from error
    except ValueError as error:
        if "Config group override must be" not in str(error):
            raise
        print("A group cannot be null. Name one of its choices: scheduler=none", file=sys.stderr)
        raise SystemExit(2) from error
    except OSError as error:
        if error.errno not in REFUSED or error.filename is None:
            raise
        print(explain_refused(error), file=sys.stderr)
        raise SystemExit(2) from error
    except UserError as error:  # already told by the job
        raise SystemExit(2) from error
    except Stopped as stopped:
        raise SystemExit(128 + stopped.signal) from stopped
    except KeyboardInterrupt as interrupt:  # before a run took care of signals
        raise SystemExit(128 + signal.SIGINT) from interrupt
