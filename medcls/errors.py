"""The exceptions that commands end with: a mistake of the user's, or a signal."""


class UserError(Exception):
    """Says which key or file, what was found, what was expected and what to do; ends a command with status 2."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, which names what to change, without medcls's own stack frames."""
        return [f"{type(self).__name__}: {self}"]


class Stopped(BaseException):
    """The process was asked to stop. No Exception, so that nothing mistakes it for a failed job and goes on."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
