"""Processes forked from one that has imported everything: they start in hundredths of a second instead of seconds."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from typing import IO, Any, TypeVar

from medcls.errors import UserError
from medcls.process import with_environment

FORKS = get_context("forkserver")
Result = TypeVar("Result")


@cache
def start_server() -> None:
    """Have a process begin to import what children need; returns at once."""
    FORKS.set_forkserver_preload(["medcls.sweep.preloaded"])
    # The server starts in /, since modules of the working folder would shadow the standard library's; it ignores
    # Ctrl-C, which this process handles.
    working, handler = os.getcwd(), signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(os.sep)
    try:
        with _same_path(working):
            forkserver.ensure_running()
    finally:
        os.chdir(working)
        signal.signal(signal.SIGINT, handler)


def _same_path(working: str) -> AbstractContextManager[None]:
    """Have a process that is started import the medcls of this one, where several are installed.

    working: the folder that relative entries of the path are in.
    """
    return with_environment(PYTHONPATH=os.pathsep.join(os.path.join(working, entry) for entry in sys.path))


class Child:
    """A process that calls ``function(*arguments)``; output: file for what it prints, else where this process prints.

    It gets SIGTERM when it is released or this process dies, however that happens: the pipe between them closes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        output: IO[bytes] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        start_server()
        self.pipe, theirs = FORKS.Pipe()
        numbers = (1, 2) if output is None else (output.fileno(),) * 2
        outputs = [Connection(os.dup(number), readable=False) for number in numbers]
        self.process = FORKS.Process(target=_begin, args=(theirs, outputs, dict(environment), function, arguments))
        try:
            with _same_path(os.getcwd()):  # for a server that takes the place of one that died
                self.process.start()
        finally:
            theirs.close()

    def let_go(self) -> None:
        """Have it stop in order."""
        self.pipe.close()

    def kill(self) -> None:
        """End it at once, if it has not ended by itself, and wait until it is gone."""
        self.process.kill()
        self.process.join()
        self.let_go()


def call(function: Callable[..., Result], *arguments: Any) -> Result:
    """What a function returns in a process of its own, so that this one need not import PyTorch.

    Raises the UserError or OSError that it raises; exits with a message where its process fails otherwise.
    """
    child = Child(function, *arguments)
    try:
        result, error = child.pipe.recv()
    except EOFError:
        child.process.join()
        raise SystemExit(f"{function.__name__}: its process exited with status {child.process.exitcode}") from None
    finally:
        child.let_go()
        child.process.join()
    if error is not None:
        raise error
    returned: Result = result
    return returned


def _begin(
    pipe: Connection,
    outputs: Sequence[Connection],
    environment: Mapping[str, str],
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> None:
    os.setsid()  # the terminal's Ctrl-C is for the parent, which stops its children in order
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=_stop_when_let_go, args=(pipe,), daemon=True).start()
    try:
        answer: tuple[Any, Exception | None] = function(*arguments), None
    except (UserError, OSError) as error:
        answer = None, error
    pipe.send(answer)


def _stop_when_let_go(pipe: Connection) -> None:
    with suppress(EOFError, OSError):
        pipe.recv()
    os.kill(os.getpid(), signal.SIGTERM)
