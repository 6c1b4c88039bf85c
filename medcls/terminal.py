"""Messages on the terminal."""

import logging
import sys

from tqdm import tqdm


class TerminalHandler(logging.Handler):
    """Prints messages above a running progress bar; leaves the lines per epoch out where the bar shows them."""

    def emit(self, record: logging.LogRecord) -> None:
        if not (getattr(record, "epoch_line", False) and sys.stderr.isatty()):
            tqdm.write(self.format(record), file=sys.stderr if record.levelno >= logging.ERROR else sys.stdout)
            sys.stdout.flush()
