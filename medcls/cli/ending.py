"""How a command ends: errors as messages, a readable exit status."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from medcls.errors import Stopped, UserError

READER_LEFT = 141  # the status that shells report for a program ended by SIGPIPE
# Errors that a folder of the user's can cause; others may be bugs, and keep their traceback.
REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST),
    *(errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG),
)


class ShownAlready(UserError):
    """A mistake whose message has been printed already."""


@contextmanager
def readable_end() -> Iterator[None]:
    """Exit with status 2 and a message for the user's mistakes, with 128 + signal when stopped by one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the command: >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:  # whoever read the output has seen enough: ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(READER_LEFT) from error
    except UserError as error:
        if not isinstance(error, ShownAlready):
            print(error, file=sys.stderr)
        raise SystemExit(2) from error
    except OSError as error:
        if error.errno not in REFUSED or error.filename is None:
            raise
        print(explain_refused(error), file=sys.stderr)
        raise SystemExit(2) from error
    except Stopped as stopped:
        raise SystemExit(128 + stopped.signal) from stopped
    except KeyboardInterrupt as interrupt:  # before a run took care of signals
        raise SystemExit(128 + signal.SIGINT) from interrupt


def explain_refused(error: OSError) -> str:
    """Message for a file or folder that the system does not let us create, read or write."""
    return (
        f"{error.filename}: {error.strerror}.\n  Change its permissions or name another place: runs go to "
        "hydra.run.dir (sweeps to hydra.sweep.dir), decoded images to data.cache_dir, what other commands write to "
        "output; images are read from data.root."
    )
