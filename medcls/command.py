"""What surrounds a command's work: the configuration checked, errors as messages, a readable exit status."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from medcls.config import Config
from medcls.config.messages import explain_composition, explain_interpolation
from medcls.config.run_name import register_resolvers
from medcls.errors import Stopped, UserError

CONF = Path(__file__).resolve().parents[1] / "conf"
READER_LEFT = 141  # what a shell says of a program that ended by SIGPIPE
# What a folder of the user's can answer, and no mistake of ours.
REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG),
)

# What to say where Hydra or a plug-in of its raises a bare ValueError, and by which of its words to know it.
FOREIGN_MISTAKES = {
    "A group cannot be null. Name one of its choices: scheduler=none": "Config group override must be",
    "hydra/sweeper: no trial of the search was finished; the reasons stand above.": "No trials are completed",
}


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


def composed(job: str, overrides: Sequence[str], config_name: str = "config") -> DictConfig:
    """What Hydra composes of conf/, for a command that Hydra does not run."""
    register_resolvers()
    with initialize_config_dir(str(CONF), job_name=job, version_base="1.3"):
        return compose(config_name, overrides=list(overrides))


@contextmanager
def telling_mistakes() -> Iterator[None]:
    """Print a UserError of the block, for a command without a log, before ``readable_errors`` ends it."""
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
        raise


@contextmanager
def readable_errors(schema: type[Config] = Config) -> Iterator[None]:
    """Exit with status 2 and a message for the user's mistakes, with 128 + signal when stopped by one.

    schema: has the keys that a wrong one could have been meant for.
    """
    # Without it Hydra prints its own account of an error and exits with status 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:  # whoever read the output has seen enough: ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(READER_LEFT) from error
    except HydraException as error:
        print(explain_composition(error, schema), file=sys.stderr)
        raise SystemExit(2) from error
    except OmegaConfBaseException as error:  # in the name of the run folder
        print(explain_interpolation(error), file=sys.stderr)
        raise SystemExit(2) from error
    except ValueError as error:
        told = next((words for words, of in FOREIGN_MISTAKES.items() if of in str(error)), None)
        if told is None:
            raise
        print(told, file=sys.stderr)
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
