"""The display of a running sweep: a live table on a terminal; elsewhere a line per start, end and tenth of the epochs.

Read from the run folders, so that it is the same for jobs in this process, in others and on other machines.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from medcls.config import Config
from medcls.host.repeat import repeating
from medcls.sweep.sweep_folder import SweepFolder, history_so_far, read_status

EVERY = 1.0  # seconds between two reads of the folders
STYLES = {"done": "green", "failed": "bold red", "running": "bold", "waiting": "dim", "stopped": "yellow"}


@dataclass(frozen=True)
class Progress:
    """Progress of a job; ``left``: estimated seconds to its end, None before the first epoch."""

    name: str
    state: str
    epoch: int
    epochs: int
    train_loss: float | None
    val_loss: float | None
    best: float | None
    left: float | None
    reason: str | None


def read_progress(sweep: SweepFolder, name: str, epochs: int) -> Progress:
    """Progress of a job according to its run folder."""
    folder = sweep.run_folder(name)
    status, rows = read_status(folder), history_so_far(folder)
    state = str(status["state"])
    last = rows[-1] if rows else None
    return Progress(
        name,
        state,
        len(rows),
        epochs,
        last["train_loss"] if last else None,
        last["val_loss"] if last else None,
        min(row["val_loss"] for row in rows) if rows else None,
        (epochs - len(rows)) * seconds_per_epoch(rows) if rows else None,
        status["reason"],
    )


class Watch:
    """All jobs of a sweep, read again and again."""

    def __init__(self, sweep: SweepFolder, configs: Mapping[str, Config], slots: int, title: str) -> None:
        self.sweep, self.configs, self.slots, self.title = sweep, configs, slots, title
        self.console = Console(markup=False, highlight=False, emoji=False)

    def read(self) -> list[Progress]:
        return [read_progress(self.sweep, name, config.epochs) for name, config in self.configs.items()]

    def table(self) -> Table:
        """The jobs as a table that fits the screen: if there are too many, only those that are running or failed."""
        jobs = self.read()
        counts = {state: sum(job.state == state for job in jobs) for state in STYLES}
        summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        table = Table(title=self.title, caption=f"{summary}{self.left(jobs)}", box=None, padding=(0, 2, 0, 0))
        table.add_column("job", overflow="fold")
        for column in ("state", "epoch", "train loss", "val loss", "best", "left"):
            table.add_column(column, no_wrap=True, justify="left" if column == "state" else "right")
        if len(jobs) > self.console.height - 6:
            jobs = [job for job in jobs if job.state in ("running", "failed")][: max(1, self.console.height - 6)]
        for job in jobs:
            losses = [loss_text(value) for value in (job.train_loss, job.val_loss, job.best)]
            left = duration(job.left) if job.state == "running" else ""
            # The title says it once, and eighty columns hold a name without it.
            name = job.name.removesuffix("_SIMULATED") if "SIMULATED" in self.title else job.name
            table.add_row(name, job.state, f"{job.epoch}/{job.epochs}", *losses, left, style=STYLES[job.state])
        return table

    def left(self, jobs: Sequence[Progress]) -> str:
        """Estimated time for all jobs, from the epochs done so far; "" before the first."""
        histories = [rows for job in jobs if (rows := history_so_far(self.sweep.run_folder(job.name)))]
        if not histories:
            return ""
        seconds = sum(map(seconds_per_epoch, histories)) / len(histories)
        epochs = sum(job.epochs - job.epoch for job in jobs if job.state in ("running", "waiting", "stopped"))
        return f"; about {duration(epochs * seconds / max(1, self.slots))} left" if epochs else ""

    def print_changes(self, printed: dict[str, Progress]) -> None:
        """Print a line for each job that has started, ended or done a tenth of its epochs since its last line."""
        for job in self.read():
            before = printed.get(job.name)
            if before is None:
                printed[job.name] = job
            elif job.state != before.state or job.epoch >= before.epoch + max(1, job.epochs // 10):
                if job.state != "waiting":
                    self.console.print(line(job), soft_wrap=True)
                printed[job.name] = job

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the jobs while the block runs."""
        if self.console.is_terminal:
            with Live(console=self.console, get_renderable=self.table, refresh_per_second=1 / EVERY):
                yield
            return
        printed: dict[str, Progress] = {}
        self.print_changes(printed)
        try:
            with repeating(EVERY, lambda: self.print_changes(printed)):
                yield
        finally:
            self.print_changes(printed)


def seconds_per_epoch(rows: Sequence[Mapping[str, float]]) -> float:
    """Mean seconds of the last five epochs."""
    recent = [row["seconds"] for row in rows[-5:]]
    return sum(recent) / len(recent)


def line(job: Progress) -> str:
    """One line on a job."""
    if job.state == "failed":
        return f"{job.name}: failed after {job.epoch} epochs: {(job.reason or '').splitlines()[0]}"
    losses = "" if job.val_loss is None else f"  loss {loss_text(job.train_loss)}  val {loss_text(job.val_loss)}"
    best = "" if job.best is None else f"  best {loss_text(job.best)}"
    left = f"  {duration(job.left)} left" if job.state == "running" and job.left else ""
    return f"{job.name}: {job.state}  epoch {job.epoch}/{job.epochs}{losses}{best}{left}"


def loss_text(value: float | None) -> str:
    """A loss; blank if there is none."""
    return "" if value is None else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """Minutes and seconds, or hours and minutes; blank if unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
