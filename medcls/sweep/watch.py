"""What one sees of a running sweep: a live table on a terminal, a line per start, end and some epochs elsewhere.

Read from the run folders, so that it is the same for jobs in this process, in others and on other machines.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table

from medcls.config import Config
from medcls.sweep.sweep_folder import SweepFolder, history_so_far, read_status

EVERY = 1.0  # seconds between two looks at the folders
STYLES = {"done": "green", "failed": "bold red", "running": "bold", "waiting": "dim", "stopped": "yellow"}


@dataclass(frozen=True)
class Progress:
    """How far a job is; ``left``: seconds it still needs, None where no epoch tells."""

    name: str
    state: str
    epoch: int
    epochs: int
    train_loss: float | None
    val_loss: float | None
    best: float | None
    left: float | None
    reason: str | None


def look(sweep: SweepFolder, name: str, epochs: int) -> Progress:
    """Progress of a job as its run folder tells it."""
    folder = sweep.run_folder(name)
    status, rows = read_status(folder), history_so_far(folder)
    state = str(status["state"])
    last = rows[-1] if rows else None
    recent = [row["seconds"] for row in rows[-5:]]
    return Progress(
        name,
        state,
        len(rows),
        epochs,
        last["train_loss"] if last else None,
        last["val_loss"] if last else None,
        min(row["val_loss"] for row in rows) if rows else None,
        (epochs - len(rows)) * sum(recent) / len(recent) if recent else None,
        status["reason"],
    )


class Watch:
    """All jobs of a sweep, looked at again and again."""

    def __init__(self, sweep: SweepFolder, configs: Mapping[str, Config], slots: int, title: str) -> None:
        self.sweep, self.configs, self.slots, self.title = sweep, configs, slots, title
        self.console = Console(markup=False, highlight=False, emoji=False)

    def look(self) -> list[Progress]:
        return [look(self.sweep, name, config.epochs) for name, config in self.configs.items()]

    def table(self) -> Table:
        """The jobs as a table that fits the screen: where there are too many, those that run and those that failed."""
        jobs = self.look()
        counts = {state: sum(job.state == state for job in jobs) for state in STYLES}
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        table = Table(title=self.title, caption=f"{told}{self.left(jobs)}", box=None, padding=(0, 2, 0, 0))
        table.add_column("job", overflow="fold")
        for column in ("state", "epoch", "train loss", "val loss", "best", "left"):
            table.add_column(column, no_wrap=True, justify="left" if column == "state" else "right")
        if len(jobs) > self.console.height - 6:
            jobs = [job for job in jobs if job.state in ("running", "failed")][: max(1, self.console.height - 6)]
        for job in jobs:
            losses = [figure(value) for value in (job.train_loss, job.val_loss, job.best)]
            left = duration(job.left) if job.state == "running" else ""
            table.add_row(job.name, job.state, f"{job.epoch}/{job.epochs}", *losses, left, style=STYLES[job.state])
        return table

    def left(self, jobs: Sequence[Progress]) -> str:
        """Time that all jobs still need, as far as those that have run tell."""
        paces = [pace(rows) for job in jobs if (rows := history_so_far(self.sweep.run_folder(job.name)))]
        if not paces:
            return ""
        epochs = sum(job.epochs - job.epoch for job in jobs if job.state in ("running", "waiting", "stopped"))
        return f"; about {duration(epochs * sum(paces) / len(paces) / max(1, self.slots))} left" if epochs else ""

    def tell_changes(self, told: dict[str, Progress]) -> None:
        """Print a line for each job that has started, ended or come a tenth further since the last look."""
        for job in self.look():
            before = told.get(job.name)
            if before is None:
                told[job.name] = job
            elif job.state != before.state or job.epoch >= before.epoch + max(1, job.epochs // 10):
                if job.state != "waiting":
                    self.console.print(line(job), soft_wrap=True)
                told[job.name] = job

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Show the jobs while the block runs."""
        if self.console.is_terminal:
            with Live(console=self.console, get_renderable=self.table, refresh_per_second=1 / EVERY):
                yield
            return
        told: dict[str, Progress] = {}
        self.tell_changes(told)
        over = threading.Event()

        def tell() -> None:
            while not over.wait(EVERY):
                self.tell_changes(told)

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.tell_changes(told)


def pace(rows: Sequence[Mapping[str, float]]) -> float:
    """Seconds per epoch of late."""
    recent = [row["seconds"] for row in rows[-5:]]
    return sum(recent) / len(recent)


def line(job: Progress) -> str:
    """A job on a line."""
    if job.state == "failed":
        return f"{job.name}: failed after {job.epoch} epochs: {(job.reason or '').splitlines()[0]}"
    losses = "" if job.val_loss is None else f"  loss {figure(job.train_loss)}  val {figure(job.val_loss)}"
    best = "" if job.best is None else f"  best {figure(job.best)}"
    left = f"  {duration(job.left)} left" if job.state == "running" and job.left else ""
    return f"{job.name}: {job.state}  epoch {job.epoch}/{job.epochs}{losses}{best}{left}"


def figure(value: float | None) -> str:
    """A loss, blank where there is none."""
    return "" if value is None else f"{value:.4f}"


def duration(seconds: float | None) -> str:
    """Minutes and seconds, or hours and minutes; blank where unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
