"""A training inside a program that is not ours: its messages shown, then everything left as it was found."""

import logging
import random
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from medcls.errors import Stopped, UserError
from medcls.host.terminal import TerminalHandler
from medcls.process import environment_kept

_training = threading.Lock()
_FORMAT = "%(asctime)s %(message)s"  # of train.log, as in conf/hydra/job_logging
_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")  # that Lightning sets with the seed
_LOGGERS = ("pytorch_lightning", "lightning_fabric")  # that a training quiets


@contextmanager
def as_a_guest() -> Iterator[None]:
    """Leave random generators, threads, warnings, levels and signal handlers of the process as the block finds them.

    A signal that stops the training is passed on once that is done: to a KeyboardInterrupt for Ctrl-C, unless the
    program has another handler. Raises UserError while another training runs in the process.
    """
    if not _training.acquire(blocking=False):
        raise UserError(
            "Another training is running in this process, whose random numbers come from the same generators.\n"
            "  Wait for it, or start another process."
        )
    stopped = None
    try:
        with warnings.catch_warnings(), _random_numbers_kept(), _settings_kept():
            yield
    except Stopped as caught:
        stopped = caught
    finally:
        _training.release()
    if stopped is not None:
        signal.raise_signal(stopped.signal)
        raise stopped


@contextmanager
def messages(folder: Path, show: bool) -> Iterator[None]:
    """Write the messages of the block to train.log and, with ``show``, print them, which the program then does not."""
    log = logging.getLogger("medcls")
    level, propagate = log.level, log.propagate
    file, terminal = logging.FileHandler(folder / "train.log", encoding="utf-8", delay=True), TerminalHandler()
    file.setFormatter(logging.Formatter(_FORMAT))
    log.addHandler(file)
    if show:
        log.addHandler(terminal)
        log.propagate = False
    log.setLevel(logging.INFO)
    try:
        yield
    except UserError as error:
        log.removeHandler(terminal)  # the exception says it already
        log.error("%s", error)
        raise
    finally:
        log.setLevel(level)
        log.propagate = propagate
        log.removeHandler(terminal)
        log.removeHandler(file)
        file.close()


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Restore the generators of Python, NumPy and PyTorch, also after an exception, as Lightning's own does not."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _settings_kept() -> Iterator[None]:
    deterministic = torch.utils.deterministic
    threads, fill = torch.get_num_threads(), deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    strict = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    of_convolutions, of_products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        with environment_kept(_VARIABLES):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict, warn_only=lenient)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = of_convolutions, of_products
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
