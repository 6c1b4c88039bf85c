"""Ctrl-C and SIGTERM end a run in order."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from medcls.errors import Stopped, UserError
from medcls.host.signals import handling_signals


class StopLate(pl.Callback):
    """Raises Stopped after a batch where the signal ``number`` has come and what its handler raised was lost.

    Python only prints what is raised in a finalizer or a hook of fork, such as logging's when workers start.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def on_train_batch_end(self, *arguments: Any) -> None:
        if self.number is not None:
            raise Stopped(self.number)

    @contextmanager
    def above_other_errors(self) -> Iterator[None]:
        """Raise Stopped for an error in the block once a signal has come, since Lightning's own end may raise one."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if self.number is None:
                raise
            raise Stopped(self.number) from error


@contextmanager
def stopping_in_order() -> Iterator[StopLate]:
    """Raise Stopped on SIGINT and SIGTERM inside the block; a trainer needs the callback, lest it miss one.

    Not KeyboardInterrupt, on which Lightning exits by itself, before the run can say where it stopped.
    In another thread than the main one, the only one that Python lets handle signals, nothing stops the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield StopLate()
        return
    process, late = os.getpid(), StopLate()

    def stop(number: int, frame: FrameType | None) -> None:
        # Processes that load data inherit the handler and the terminal's Ctrl-C; the parent ends them.
        if os.getpid() == process:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the orderly end short
            late.number = number
            raise Stopped(number)

    def report(lost: Any) -> None:
        if not isinstance(lost.exc_value, Stopped):
            report_others(lost)

    report_others, sys.unraisablehook = sys.unraisablehook, report
    try:
        with handling_signals(stop), late.above_other_errors():
            yield late
    finally:
        sys.unraisablehook = report_others
