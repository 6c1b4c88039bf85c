"""Messages on the terminal."""

import logging
import shlex
import sys
from pathlib import Path

from tqdm import tqdm


class TerminalHandler(logging.Handler):
    """Prints messages above a running progress bar; of a record with ``short`` a terminal, being narrow, gets that."""

    def emit(self, record: logging.LogRecord) -> None:
        short = getattr(record, "short", None) if sys.stdout.isatty() else None
        tqdm.write(short or self.format(record), file=sys.stderr if record.levelno >= logging.ERROR else sys.stdout)
        sys.stdout.flush()


def command_line(command: str) -> str:
    """What to type for a command of medcls, by script where this process was started by one: python train.py."""
    script = Path(sys.argv[0])
    if script.name not in ("train.py", "sweep.py"):
        return f"medcls {command}"
    beside = script.with_name(f"{command}.py")
    return f"python {shlex.quote(str(beside))}" if beside.is_file() else f"python -m medcls.{command}"
