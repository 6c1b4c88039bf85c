"""The folder of one run: which files it holds, who writes there, how far the run got."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import Field
from typing_extensions import TypedDict

from medcls.atomic import remove_partial, write_json, write_text
from medcls.errors import UserError
from medcls.quoting import typed
from medcls.runs.reading import Shape, read_json, read_yaml, yaml_text


class Status(TypedDict):
    """How far a run got: its state, the number of complete epochs, and why it is not done."""

    state: Literal["running", "done", "stopped", "failed"]
    epoch: Annotated[int, Field(ge=0)]
    reason: str | None


class Data(TypedDict):
    """What resuming a run needs of data.json."""

    root: str | None
    fingerprint: str


class Environment(TypedDict):
    """What resuming a run needs of environment.json."""

    overrides: list[str]


class RunFolder:
    """Paths and small files of a run; every file is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.data = path / "data.json"
        self.split = path / "split.csv"
        self.status = path / "status.json"
        self.history = path / "history.csv"
        self.metrics = path / "metrics.json"
        self.decision = path / "decision.json"
        self.predictions = path / "predictions.csv"
        self.best = path / "checkpoints" / "best.ckpt"
        self.last = path / "checkpoints" / "last.ckpt"

    @property
    def resume_override(self) -> str:
        """What to type to resume the run, quoted for the shell and for Hydra where the path needs it."""
        plain = re.fullmatch(r"[\w./-]+", str(self.path), re.ASCII)
        return f"resume={self.path}" if plain else typed("resume", str(self.path))

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from working in the folder; the system releases the lock of a process that dies."""
        return locked(self.path, "another process is working in this run folder")

    def check_new(self) -> None:
        """Raise UserError when the folder already holds a run."""
        if self.config.exists():
            raise UserError(
                f"{self.path}: already holds a run.\n  Resume it: {self.resume_override}, or choose another "
                "folder: hydra.run.dir=<folder>"
            )

    def check_config(self) -> None:
        """Raise UserError for the folder of a run that lacks its configuration, which would be taken for a sweep."""
        if self.status.is_file() and not self.config.is_file():
            raise UserError(f"{self.config}: missing. Restore it from a copy.")

    def begin(self, config: Mapping[str, Any], data: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Write what the run starts from; the configuration last, since with it the folder counts as a run."""
        (self.path / "checkpoints").mkdir(exist_ok=True)
        write_json(self.environment, environment)
        write_json(self.data, data)
        self.write_status("running", 0)
        self.write_config(config)

    def remove_if_not_begun(self) -> None:
        """Remove the folder of a run that failed before it wrote its configuration, unless it holds other files."""
        if self.config.exists():
            return
        (self.path / "train.log").unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the run's configuration; again when it is resumed, so that an extension outlives an interruption."""
        write_text(self.config, yaml_text(dict(config)))

    def read_config(self) -> dict[str, Any]:
        """Plain values of config.yaml, as anybody may have written them. Raises UserError when there are none."""
        if not self.config.is_file():
            raise UserError(
                f"resume: {self.path} is not a run folder (it holds no config.yaml).\n  Name the folder of a run, such "
                "as one below runs/."
            )
        return read_yaml(self.config)

    def write_status(self, state: str, epoch: int, reason: str | None = None) -> None:
        """Say that the run is "running", "done", "stopped" or "failed", how many epochs are complete, and why."""
        write_json(self.status, {"state": state, "epoch": epoch, "reason": reason})

    def read_status(self) -> Status | None:
        """Content of status.json; None where there is none. Raises UserError where it is damaged."""
        try:
            return read_json(self.status, Status)
        except FileNotFoundError:
            return None

    def read_state(self) -> str:
        """State that the run was last known to be in; "running" also after a kill."""
        status = self.read_status()
        return "running" if status is None else status["state"]

    def read_data(self) -> Data:
        """Content of data.json. Raises UserError where it is damaged or missing."""
        return self._expected(self.data, Data)

    def read_environment(self) -> Environment:
        """Content of environment.json. Raises UserError where it is damaged or missing."""
        return self._expected(self.environment, Environment)

    def _expected(self, path: Path, shape: type[Shape]) -> Shape:
        try:
            return read_json(path, shape)
        except FileNotFoundError as error:
            raise UserError(f"{path}: missing. Restore it from a copy, or start a new run.") from error


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a folder; raises UserError with the reason ``busy`` if another process holds it."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"{folder}: {busy}. Wait for it or stop it.") from error
    try:
        for inner in (folder, folder / "checkpoints", folder / "jobs"):
            remove_partial(inner)  # of a process that was killed: the one that holds the lock has just begun
        yield
    finally:
        (folder / ".lock").unlink(missing_ok=True)
        lock.release()


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that share their keys as CSV; floats in full, so that reading gives back the same numbers."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
